//! Digest authentication with the origins a client asks: the nonce that all its connections to an
//! origin share, and how many requests carry it.
//!
//! States of an origin and name: unknown (no challenge yet) -> known (requests answer the latest
//! challenge, number 1 and on) -> known by the next challenge, or the nonce that an answer names.

use crate::base::Result;
use crate::base::limits::{CHALLENGES_FRUITLESS_MAX, ORIGINS_MAX};
use crate::base::url::{Credentials, Origin};
use crate::http::{Digest, Head};
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The Digest challenges that a client has met.
#[derive(Default)]
pub(in crate::engine) struct Logins {
    /// Indicates whether there is any: most clients never take the lock.
    has_any: AtomicBool,
    sessions: Mutex<HashMap<(Origin, Vec<u8>), Session>>,
}

struct Session {
    digest: Digest,
    /// The number of the challenge; never 0.
    number: u64,
    /// Challenges since the last answer that was none.
    fruitless: u32,
}

impl Logins {
    /// The `Authorization` of the next request for `target`, and the number of the challenge that
    /// it answers; `None` while the origin has sent none.
    pub(in crate::engine) fn answer(
        &self,
        origin: &Origin,
        credentials: &Credentials,
        target: &str,
    ) -> Result<Option<(String, u64)>> {
        if !self.has_any() {
            return Ok(None);
        }
        let mut sessions = self.lock();
        let Some(session) = sessions.get_mut(&key(origin, credentials)) else { return Ok(None) };
        let value = session.digest.answer(credentials, target, random())?;
        Ok(Some((value, session.number)))
    }

    /// Takes the challenge of a 401 to a request that has answered the challenge number `sent`, or
    /// none (0); `true` if the request is worth repeating: it knew no challenge, or an older one,
    /// or only its nonce was too old.
    pub(in crate::engine) fn learn(
        &self,
        origin: &Origin,
        credentials: &Credentials,
        head: &Head,
        sent: u64,
    ) -> bool {
        let Some(digest) = Digest::of(head) else { return false };
        let mut sessions = self.lock();
        let key = key(origin, credentials);
        let Some(session) = sessions.get_mut(&key) else {
            if sessions.len() < ORIGINS_MAX {
                sessions.insert(key, Session { digest, number: 1, fruitless: 0 });
                self.has_any.store(true, Ordering::Relaxed);
                return true;
            }
            return false;
        };
        session.fruitless += 1;
        if session.fruitless > CHALLENGES_FRUITLESS_MAX {
            return false;
        }
        if session.number == sent {
            if !digest.is_stale() {
                return false;
            }
            (session.digest, session.number) = (digest, sent + 1);
        }
        true
    }

    /// Whether any origin has sent a challenge.
    pub(in crate::engine) fn has_any(&self) -> bool {
        self.has_any.load(Ordering::Relaxed)
    }

    /// Takes note of an answer that is no challenge, and of the nonce that it may name.
    pub(in crate::engine) fn accepted(
        &self,
        origin: &Origin,
        credentials: &Credentials,
        head: &Head,
    ) {
        if let Some(session) = self.lock().get_mut(&key(origin, credentials)) {
            session.fruitless = 0;
            session.digest.renew(head);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Origin, Vec<u8>), Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(origin: &Origin, credentials: &Credentials) -> (Origin, Vec<u8>) {
    (origin.clone(), credentials.user.clone())
}

/// A number that nobody can guess: the keys of these hashers are random.
fn random() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}
