//! Servers that return what they were sent, in texts, headers and malformed data: none of it is
//! passed on.

use cas_tests::test_user::{LOGIN, TestUser, VAULT_TOKEN};
use cas_tests::vault_fake::{Answer, Fault, VaultFake};
use serde_json::json;

use crate::canaries::Secret;
use crate::observed_user::ObservedUser;

fn user_with_fake_vault() -> (ObservedUser, VaultFake) {
    let observed = ObservedUser::new(TestUser::create);
    let fake = observed.test_user.inside(|| VaultFake::start("alice"));
    observed.test_user.set_store_url(&fake.address());
    observed.test_user.put(VAULT_TOKEN, &format!("{}\n", observed.canaries.text(Secret::VaultToken)));
    observed.test_user.put(LOGIN, &observed.login_file());
    fake.replace("alice", &json!({ "vaultwarden_master_password": observed.canaries.text(Secret::Sibling) }));
    (observed, fake)
}

#[test]
fn token_in_server_text_is_not_logged() {
    let (mut observed, fake) = user_with_fake_vault();
    let echo = format!(
        "{} {} {}",
        observed.canaries.text(Secret::VaultToken),
        observed.canaries.text(Secret::Login),
        observed.canaries.text(Secret::Sibling),
    );
    let words = json!({ "errors": [format!("refused: {echo}"), echo] }).to_string();
    let renewed =
        json!({ "auth": { "lease_duration": 7, "renewable": true }, "warnings": [echo], "data": {} });
    let mut faults = vec![
        Fault::Answer(Answer::new(307, "").with("Location", format!("http://127.0.0.1/{echo}"))),
        Fault::Answer(Answer::new(200, json!({ "warnings": [echo], "data": null }).to_string())),
        Fault::Answer(Answer::new(200, renewed.to_string())),
        Fault::Answer(Answer::new(
            200,
            json!({ "data": { "data": echo, "metadata": { "version": echo } } }).to_string(),
        )),
        Fault::Answer(Answer::new(
            404,
            json!({ "data": { "data": null, "metadata": { "version": 1, "deletion_time": echo } } })
                .to_string(),
        )),
        Fault::Answer(Answer::new(
            200,
            json!({ "data": { "meta": { "user": echo }, "policies": [echo], "display_name": echo } })
                .to_string(),
        )),
        Fault::Answer(Answer::new(503, words.clone()).with("Retry-After", echo.clone())),
        Fault::Bytes(format!("HTTP/1.1 {echo}\r\n\r\n{echo}").into_bytes()),
        Fault::Bytes(format!("HTTP/1.1 200 OK\r\n{echo}\r\n\r\n").into_bytes()),
        Fault::Bytes(echo.clone().into_bytes()),
        Fault::CloseInBody,
    ];
    let statuses = [200, 400, 401, 403, 404, 405, 412, 413, 415, 429, 500, 502, 503];
    for body in
        [words, format!("<html>{echo}</html>"), json!({ "data": echo }).to_string(), json!(echo).to_string()]
    {
        faults.extend(statuses.map(|status| Fault::Answer(Answer::new(status, body.clone()))));
    }
    for fault in faults {
        for request in ["GET /v1/secret", "PATCH", "PUT", "lookup-self", "renew-self"] {
            observed.test_user.remove(".local/state/claude-auth-sync/vault-token.json");
            fake.fail(request, fault.clone());
            let what = format!("{request} answered by {}", summarize(&fault));
            observed.sync(&what);
            if request == "GET /v1/secret" {
                observed.test_user.remove(".local/state/claude-auth-sync/store-contact.json");
                observed.login(&what);
            }
            fake.recover();
        }
    }
    assert_eq!(observed.leaks(), Vec::<String>::new());
}

fn summarize(fault: &Fault) -> String {
    match fault {
        Fault::Answer(answer) => format!("{} with {} bytes", answer.status, answer.body.len()),
        Fault::Bytes(bytes) => format!("{} bytes that are not HTTP", bytes.len()),
        other => format!("{other:?}"),
    }
}

#[test]
fn malformed_document_content_is_not_logged() {
    let (mut observed, fake) = user_with_fake_vault();
    let secret = observed.canaries.text(Secret::Login).to_owned();
    let setup = observed.canaries.text(Secret::SetupToken).to_owned();
    let object = |inner: serde_json::Value| json!({ "claude_ai_oauth_json": inner.to_string() });
    for document in [
        json!({ "claude_ai_oauth_json": secret }),
        json!({ "claude_ai_oauth_json": [secret], "credential_expires_at_ms": secret, "backed_up_machine": [secret] }),
        object(json!({ "accessToken": secret, "refreshToken": [secret], "expiresAt": secret })),
        object(json!([secret])),
        json!({ "setup_token": format!("{setup}\n") }),
        json!({ "setup_token": format!("token {setup}") }),
        json!({ "setup_token": [setup] }),
        json!({ "setup_token": { (setup.clone()): setup } }),
    ] {
        fake.replace("alice", &document);
        let what = document.to_string().replace(&secret, "…").replace(&setup, "…");
        observed.sync(&what);
        observed.login(&what);
    }
    assert_eq!(observed.leaks(), Vec::<String>::new());
}
