//! The responses of `POST /v1/messages` and of the token endpoint that can be selected: the rows of
//! the table in `docs/design/claude-code.md` that the client distinguishes.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::http::Response;
use super::tokens::TokenStatus;

/// An answer of `POST /v1/messages`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageAnswer {
    /// The model answers, for any token.
    Ok,
    /// 401 `authentication_error`, "OAuth token has expired".
    Expired,
    /// 401 `authentication_error`, "Invalid bearer token".
    Invalid,
    /// 403 `permission_error`: the token was revoked.
    Revoked,
    /// 403 `permission_error`: the organization does not allow such logins.
    OrganizationForbidden,
    /// 401 `authentication_error` with the same message.
    OrganizationUnauthorized,
    /// 400 `invalid_request_error`: the organization has been disabled.
    OrganizationDisabled,
    /// 403 `permission_error`: the token lacks a scope.
    ScopeForbidden,
    /// 429 `rate_limit_error` with `retry-after` in seconds. It is no information about the token.
    RateLimited {
        /// Seconds.
        retry_after: u32,
    },
    /// 429 with the unified headers: the plan's five-hour limit is reached.
    UsageLimited,
    /// 400 `invalid_request_error`: the credit balance is too low.
    CreditTooLow,
    /// 404 `not_found_error`: the model does not exist.
    ModelNotFound,
    /// 500 `api_error`.
    InternalError,
    /// 529 `overloaded_error`.
    Overloaded,
    /// A page of some proxy, with this status.
    Html {
        /// For instance 200, 401, 403 or 502.
        status: u16,
    },
    /// JSON of some other server, with this status.
    ForeignJson {
        /// For instance 401.
        status: u16,
    },
    /// The request is read and never answered.
    Silence,
    /// The stream of the answer begins and then stops without ending.
    StalledStream,
    /// The connection is closed without an answer.
    Disconnect,
}

/// An answer of `POST /v1/oauth/token`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshAnswer {
    /// A good refresh token is exchanged for a new pair, any other refused with `invalid_grant`.
    #[default]
    Rotate,
    /// As above, but the connection is closed instead of the answer: the client never gets the new
    /// pair.
    RotateAndLoseTheAnswer,
    /// 400 `invalid_grant`; nothing is exchanged.
    InvalidGrant,
    /// 500; nothing is exchanged.
    InternalError,
    /// The request is read and never answered; nothing is exchanged.
    Silence,
}

/// An answer of `POST /v1/oauth/token/revoke`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RevokeAnswer {
    /// 200; every token of the login is revoked.
    #[default]
    Revoke,
    /// 500; nothing is revoked.
    InternalError,
    /// The request is read and never answered; nothing is revoked.
    Silence,
    /// The connection is closed without an answer; nothing is revoked.
    Disconnect,
}

/// An answer of `GET /api/claude_code/settings`: the settings of an organization's administrator
/// for every client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingsAnswer {
    /// 404: nothing is set.
    #[default]
    NotFound,
    /// 200 with these settings.
    Settings(Value),
    /// 500.
    InternalError,
}

impl SettingsAnswer {
    pub(super) fn response(&self) -> Response {
        match self {
            Self::NotFound => error(404, "not_found_error", "No settings"),
            Self::InternalError => error(500, "api_error", "Internal server error"),
            Self::Settings(settings) => {
                let (uuid, checksum) = ("00000000-0000-4000-8000-0000000000bb", settings.to_string().len());
                let checksum = format!("sha256:{checksum:064x}");
                Response::json(200, &json!({"uuid": uuid, "checksum": checksum, "settings": settings}))
            }
        }
    }
}

/// The message by which the client recognizes the refusal of an organization, whatever the status
/// is.
const ORGANIZATION_NOT_ALLOWED: &str = "OAuth authentication is currently not allowed for this organization.";

/// What the server does on a connection.
pub(super) enum Reaction {
    Answer(Response),
    AnswerAndStall(Response),
    Silence,
    Disconnect,
}

impl MessageAnswer {
    /// Returns the answer that a token with this status gets by default.
    pub(super) fn for_standing(standing: TokenStatus) -> Self {
        match standing {
            TokenStatus::Valid => Self::Ok,
            TokenStatus::Expired => Self::Expired,
            TokenStatus::Revoked => Self::Revoked,
            TokenStatus::Unknown => Self::Invalid,
        }
    }

    /// Returns the reaction to a request with the body `request`.
    pub(super) fn reaction(&self, request: &Value) -> Reaction {
        Reaction::Answer(match self {
            Self::Ok if request["stream"] == true => Response::events(stream(request, EVENTS)),
            Self::Ok => Response::json(200, &message(request, true)),
            Self::Expired => error(
                401,
                "authentication_error",
                "OAuth token has expired. Please obtain a new token or refresh your existing token.",
            ),
            Self::Invalid => error(401, "authentication_error", "Invalid bearer token"),
            Self::Revoked => error(403, "permission_error", "OAuth token has been revoked."),
            Self::OrganizationForbidden => error(403, "permission_error", ORGANIZATION_NOT_ALLOWED),
            Self::OrganizationUnauthorized => error(401, "authentication_error", ORGANIZATION_NOT_ALLOWED),
            Self::OrganizationDisabled => {
                error(400, "invalid_request_error", "This organization has been disabled.")
            }
            Self::ScopeForbidden => {
                error(403, "permission_error", "OAuth token does not meet scope requirement user:inference")
            }
            Self::RateLimited { retry_after } => {
                error(429, "rate_limit_error", "Number of requests has exceeded your rate limit.")
                    .with("retry-after", retry_after)
            }
            Self::UsageLimited => usage_limit_response(),
            Self::CreditTooLow => error(
                400,
                "invalid_request_error",
                "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
            ),
            Self::ModelNotFound => error(404, "not_found_error", "model: no such model"),
            Self::InternalError => error(500, "api_error", "Internal server error"),
            Self::Overloaded => error(529, "overloaded_error", "Overloaded"),
            Self::Html { status } => Response::html(*status),
            Self::ForeignJson { status } => Response::json(*status, &json!({"message": "who are you?"})),
            Self::Silence => return Reaction::Silence,
            Self::StalledStream => {
                return Reaction::AnswerAndStall(Response::events(stream(request, 2)));
            }
            Self::Disconnect => return Reaction::Disconnect,
        })
    }
}

/// Returns an error in the format of the API.
pub(super) fn error(status: u16, kind: &str, message: &str) -> Response {
    let body =
        json!({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_test"});
    Response::json(status, &body)
}

fn usage_limit_response() -> Response {
    // 2100-01-01: the time of the reset is displayed, and is never in the past.
    let reset = 4_102_444_800_u64;
    error(
        429,
        "rate_limit_error",
        "This request would exceed your account's rate limit. Please try again later.",
    )
    .with("anthropic-ratelimit-unified-status", "rejected")
    .with("anthropic-ratelimit-unified-reset", reset)
    .with("anthropic-ratelimit-unified-representative-claim", "five_hour")
    .with("anthropic-ratelimit-unified-5h-status", "rejected")
    .with("anthropic-ratelimit-unified-5h-reset", reset)
    .with("anthropic-ratelimit-unified-5h-utilization", "1.0")
    .with("anthropic-ratelimit-unified-overage-status", "rejected")
}

const TEXT: &str = "AUTH_OK";
const EVENTS: usize = 6;

/// Returns the complete message, or the part that begins a stream.
fn message(request: &Value, complete: bool) -> Value {
    let content = if complete { json!([{"type": "text", "text": TEXT}]) } else { json!([]) };
    json!({
        "id": "msg_test", "type": "message", "role": "assistant", "content": content,
        "model": request["model"], "stop_sequence": null,
        "stop_reason": if complete { json!("end_turn") } else { Value::Null },
        "usage": {"input_tokens": 10, "output_tokens": if complete { 5 } else { 1 }},
    })
}

/// Returns the first `count` events of the answer.
fn stream(request: &Value, count: usize) -> String {
    let events: [Value; EVENTS] = [
        json!({"type": "message_start", "message": message(request, false)}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
               "usage": {"output_tokens": 5}}),
        json!({"type": "message_stop"}),
    ];
    let line =
        |event: &Value| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default());
    events.iter().take(count).map(line).collect()
}
