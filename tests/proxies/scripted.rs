//! A proxy that answers each message of a connection with the next of its lines, whatever was
//! asked, and remembers what was said to it.

use super::common::wait_for_end;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What it does behind its last answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    /// Leaves the connection open, and says nothing more.
    Hold,
}

/// A scripted proxy. Dropping it ends it.
pub(crate) struct Scripted {
    address: SocketAddr,
    /// The messages of each connection.
    heard: Arc<Mutex<Vec<Vec<Vec<u8>>>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    pub(crate) fn start(answers: &[&[u8]], end: End) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let (heard, is_over) = (Arc::<Mutex<Vec<_>>>::default(), Arc::<AtomicBool>::default());
        let answers: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
        let (own_heard, own_is_over) = (heard.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                if own_is_over.load(Ordering::Relaxed) {
                    break;
                }
                let Ok(mut stream) = stream else { continue };
                let messages = talk(&mut stream, &answers);
                own_heard.lock().unwrap_or_else(PoisonError::into_inner).push(messages);
                if end == End::Hold {
                    held.push(stream);
                }
            }
        });
        Self { address, heard, is_over, thread: Some(thread) }
    }

    /// Its URL with this in front of its address.
    pub(crate) fn url(&self, front: &str) -> String {
        format!("{front}{}", self.address)
    }

    pub(crate) fn name(&self) -> String {
        format!("the proxy {}", self.address)
    }

    /// The messages of each connection that has ended.
    pub(crate) fn heard(&self) -> Vec<Vec<Vec<u8>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it; if it has ended, there is nothing to wake.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            wait_for_end(thread);
        }
    }
}

/// The client's messages fit into one read, as each is sent at once.
fn talk(stream: &mut TcpStream, answers: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a time that is not zero");
    for answer in answers {
        let mut message = vec![0; 4096];
        let Ok(bytes) = stream.read(&mut message) else { break };
        if bytes == 0 {
            break;
        }
        message.truncate(bytes);
        messages.push(message);
        if stream.write_all(answer).is_err() {
            break;
        }
    }
    messages
}
