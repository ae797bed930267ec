// Writes the metrics of a day of two machines in the OpenMetrics format: every five minutes the real `cas-sync metrics` runs
// at that time with the states that all users have published by then.
//
//   day.js NOW   the day ends NOW, in seconds since the epoch; CAS_SYNC names the program, FAKETIME_LIBRARY the library
//                that sets its time. It writes to /etc/passwd and /var/lib/claude-auth-sync: run it where these are private.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const { dirname, join } = require('node:path');

const STATE = '/var/lib/claude-auth-sync';
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const COLLECTED_EVERY = 5 * MINUTE;
const LAST_COLLECTED = 140;
const SCRAPED_EVERY = MINUTE;

const ACCESS_TOKEN = 8 * HOUR;
const OK_STATE = { status: 'OK', exit_code: 0, verification: 'ok' };
const RECOVERED = { status: 'RECOVERED', exit_code: 0, verification: 'ok' };
const REFUSED = { status: 'FAIL', exit_code: 79, verification: 'rejected' };
// A sync warns of a credential that expires within this many days.
const WARNING_DAYS_LOGIN = 7;
const WARNING_DAYS_SETUP_TOKEN = 30;
const OVERLOADED = { status: 'WARN', exit_code: 75, verification: 'inconclusive', outage: 'overloaded' };

// The start of each sync, in hours since the last midnight, and its result: by the timer every six hours, and some between.
const MACHINES = {
  'studio:9100': {
    alice: { daysLeft: 21.3, syncs: timer(0.2) },
    bob: { daysLeft: 29.9, syncs: [...timer(0.9), [14, REFUSED], [15.1, RECOVERED], [15.7, OK_STATE]] },
    carol: { daysLeft: 2.4, syncs: timer(0.55) },
  },
  'library:9100': {
    dave: { daysLeft: 13.6, syncs: [...timer(0.4), [16.5, OVERLOADED], [17.5, OVERLOADED]] },
    erin: { daysLeft: 25.8, syncs: [...timer(0.7), [8.9, OVERLOADED], [10, OVERLOADED], [10.7, OK_STATE]] },
    frank: { daysLeft: 9.2, isSetupToken: true, syncs: timer(0.1) },
    grace: { enrolled: 16.8, syncs: [] },
  },
};

function timer(offset) {
  return [-12, -6, 0, 6, 12].map((hour) => [hour + offset, OK_STATE]);
}

function main(now) {
  const machines = Object.entries(MACHINES);
  for (const [instance, users] of machines) {
    fs.rmSync(STATE, { recursive: true, force: true });
    fs.mkdirSync(join(STATE, 'enrolled'), { recursive: true });
    writeAccounts(Object.keys(users));
    for (let at = now - LAST_COLLECTED - 25 * HOUR; at <= now; at += COLLECTED_EVERY) {
      Object.entries(users).forEach(([user, settings], index) => publish(user, 1001 + index, settings, at, now));
      scrape(metricsAt(at), instance, at);
    }
  }
  console.log('# EOF');
}

function writeAccounts(users) {
  const lines = users.map((user, index) => `${user}:x:${1001 + index}:${1001 + index}::/home/${user}:/bin/bash\n`);
  fs.writeFileSync('/etc/passwd', lines.join(''));
}

/** Writes the state that this user's last sync has published by then, once the user is enrolled. */
function publish(user, uid, settings, at, now) {
  if (at < midnight(now) + (settings.enrolled ?? -Infinity) * HOUR) return;
  fs.writeFileSync(join(STATE, 'enrolled', user), '');
  const state = stateAt(settings, at, now);
  if (state === undefined) return;
  const file = join(STATE, 'published', user);
  fs.mkdirSync(dirname(file), { recursive: true });
  fs.writeFileSync(file, JSON.stringify({ uid, ...state }), { mode: 0o600 });
}

/** Returns the state as a sync writes it; `undefined` before the first one. */
function stateAt(settings, at, now) {
  let state, accessTokenEnds = 0, outageSince;
  for (const [hour, outcome] of [...settings.syncs].sort(([one], [other]) => one - other)) {
    const began = midnight(now) + hour * HOUR;
    if (began > at) break;
    const isVerified = outcome.verification === 'ok';
    if (isVerified && accessTokenEnds - began < 2 * HOUR) accessTokenEnds = began + ACCESS_TOKEN;
    outageSince = outcome.outage && (outageSince ?? began);
    state = {
      schema: 1,
      ...(outcome === OK_STATE && expiresSoon(settings, began, now) ? { ...OK_STATE, status: 'WARN' } : outcome),
      at_ms: 1000 * began,
      verified_at_ms: isVerified ? 1000 * began : state.verified_at_ms,
      outage_since_ms: outageSince && 1000 * outageSince,
      credential: {
        kind: settings.isSetupToken ? 'setup-token' : 'login',
        access_token_expires_at_ms: settings.isSetupToken ? undefined : 1000 * accessTokenEnds,
        expires_at_ms: 1000 * (now + settings.daysLeft * DAY),
        expiry_is_estimated: settings.isSetupToken,
      },
    };
  }
  return state;
}

function expiresSoon(settings, at, now) {
  return settings.daysLeft + (now - at) / DAY < (settings.isSetupToken ? WARNING_DAYS_SETUP_TOKEN : WARNING_DAYS_LOGIN);
}

function midnight(now) {
  return now - (now % DAY);
}

/** Returns the output of `cas-sync metrics` at that time. */
function metricsAt(at) {
  const environment = {
    LD_PRELOAD: process.env.FAKETIME_LIBRARY,
    FAKETIME: new Date(1000 * at).toISOString().slice(0, 19).replace('T', ' '),
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    TZ: 'UTC',
  };
  return execFileSync(process.env.CAS_SYNC, ['metrics'], { env: environment, encoding: 'utf8' });
}

/** Prints the samples that a Prometheus scrapes from that machine's exporter until the next collection. */
function scrape(text, instance, from) {
  const own = `instance="${instance}",job="node"`;
  const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  for (let at = from; at < from + COLLECTED_EVERY; at += SCRAPED_EVERY) {
    for (const sample of samples) {
      const [, name, labels, value] = sample.match(/^(\w+)(?:\{(.*)\})? (\S+)$/);
      console.log(`${name}{${labels ? `${labels},` : ''}${own}} ${value} ${at}`);
    }
  }
}

main(Number(process.argv[2]));
