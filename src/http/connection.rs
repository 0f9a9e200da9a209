//! Connections whose client does not go on.
//!
//! actix-http waits without end for a second head that has begun, and for a client that does not read what it asked for.
//! Here such connections are ended, as they would keep a descriptor for ever. And it reads whatever has come before it
//! looks at it; here it gets that in portions, as a thousand uploads would take its buffers a thousand times.
//!
//! Long bodies it lets the connection write itself: see [`super::direct`]. Some requests never come to it: see
//! [`super::repeat`].

use std::cell::{Cell, RefCell};
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::direct::{Outgoing, Socket};
use super::exchange::Exchange;
use super::repeat::{Repeated, Repeats};

/// How many bytes are read before what they are is looked at; as much as actix keeps of a body that is not taken yet.
const PORTION: usize = 32 * 1024;

/// How long a client is waited for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of a head, from its first byte on.
    pub(super) head: Duration,
    /// Until it takes more of an answer than the system keeps for it, which may be some megabytes where it was fast before.
    pub(super) reading: Duration,
}

/// The stream of a connection, which fails when the client is not waited for any longer.
pub(super) struct Connection<S> {
    stream: S,
    patience: Patience,
    state: Rc<ConnectionState>,
    /// How many bytes have been read of the current portion.
    portion: usize,
    /// Set for a deadline of before; looked at anew when it goes off.
    alarm: Option<Pin<Box<Sleep>>>,
    /// On its way past actix, which waits for a request.
    repeated: Option<Repeated>,
}

/// What the stream and the one who answers its requests know of each other.
#[derive(Default)]
pub(super) struct ConnectionState {
    /// The address at the other end; `None` for a Unix socket.
    pub(super) peer: Option<String>,
    /// A request is read and answered; its body has its own timeout.
    is_answering: Cell<bool>,
    /// The first head is actix's to wait for, which answers 408.
    has_answered: Cell<bool>,
    /// Since when a further head is on its way.
    head_since: Cell<Option<Instant>>,
    /// Since when the client takes nothing of what is there for it.
    unread_since: Cell<Option<Instant>>,
    /// The body that follows behind all that actix has to write.
    pub(super) body: RefCell<Option<Outgoing>>,
    /// Whose turn it is.
    pub(super) exchange: Exchange,
}

/// A request is being answered, until this is dropped.
pub(super) struct Answering(Rc<ConnectionState>);

impl ConnectionState {
    /// Says that a request of this connection is being answered.
    pub(super) fn answer(self: &Rc<Self>) -> Answering {
        self.is_answering.set(true);
        self.head_since.set(None);
        Answering(Rc::clone(self))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.is_answering.set(false);
        self.0.has_answered.set(true);
    }
}

impl<S> Connection<S> {
    /// A connection that may give again what is in `repeats`.
    pub(super) fn new(
        stream: S,
        patience: Patience,
        peer: Option<SocketAddr>,
        repeats: Option<Rc<Repeats>>,
    ) -> Self {
        let peer = peer.map(|address| address.ip().to_string());
        let state = ConnectionState { peer, exchange: Exchange::new(repeats), ..ConnectionState::default() };
        Self { stream, patience, state: Rc::new(state), portion: 0, alarm: None, repeated: None }
    }

    pub(super) fn state(&self) -> Rc<ConnectionState> {
        Rc::clone(&self.state)
    }

    fn deadline(&self) -> Option<Instant> {
        let state = &self.state;
        match state.unread_since.get() {
            Some(since) => since.checked_add(self.patience.reading),
            // A further head waits until the answer before it is out.
            None if state.body.borrow().is_some() => None,
            None => state.head_since.get().and_then(|since| since.checked_add(self.patience.head)),
        }
    }

    /// An error when the client has had its time.
    fn check(&mut self, context: &mut Context<'_>) -> Result<()> {
        while let Some(deadline) = self.deadline() {
            if deadline <= Instant::now() {
                return Err(Error::new(ErrorKind::TimedOut, "the client does not go on"));
            }
            let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if deadline < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(context).is_pending() {
                break;
            }
        }
        Ok(())
    }

    fn note_read(&self) {
        let state = &self.state;
        if state.has_answered.get() && !state.is_answering.get() && state.head_since.get().is_none() {
            state.head_since.set(Some(Instant::now()));
        }
    }

    fn note_written(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        let state = &self.state;
        if written.is_ready() {
            state.unread_since.set(None);
            // What has come meanwhile waits for its turn.
            if state.head_since.get().is_some() {
                state.head_since.set(Some(Instant::now()));
            }
        } else {
            if state.unread_since.get().is_none() {
                state.unread_since.set(Some(Instant::now()));
            }
            self.check(context)?;
        }
        written
    }
}

impl<S: Socket> Connection<S> {
    /// Brings an answer that is given again to its end.
    fn poll_repeat(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        while let Some(answer) = &mut self.repeated {
            if answer.is_sent() {
                self.repeated = None;
                break;
            }
            let written = answer.poll_write(&mut self.stream, context);
            ready!(self.note_written(context, written))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncRead for Connection<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        if self.portion >= PORTION {
            self.portion = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Until nothing comes, or tokio lets others have their turn.
        loop {
            ready!(self.poll_repeat(context))?;
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.stream).poll_read(context, buffer);
            if read.is_pending() {
                self.portion = 0;
                self.check(context)?;
                return Poll::Pending;
            }
            ready!(read)?;
            let read = &buffer.filled()[before..];
            let count = read.len();
            self.repeated = self.state.exchange.note_read(read, self.state.peer.as_deref());
            if self.repeated.is_none() {
                if count > 0 {
                    self.portion += count;
                    self.note_read();
                }
                return Poll::Ready(Ok(()));
            }
            buffer.set_filled(before);
        }
    }
}

impl<S: Socket> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        ready!(self.poll_repeat(context))?;
        let Self { stream, state, .. } = &mut *self;
        let mut body = state.body.borrow_mut();
        state.exchange.note_write(bytes, body.as_ref());
        let written = match body.as_mut() {
            Some(body) => body.poll_write_behind(stream, context, bytes),
            None => Pin::new(stream).poll_write(context, bytes),
        };
        drop(body);
        self.note_written(context, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        let state = Rc::clone(&self.state);
        let mut slot = state.body.borrow_mut();
        // actix has written all that is before the body.
        while let Some(body) = slot.as_mut() {
            if body.is_sent() {
                *slot = None;
                // Only when its task runs again it learns that the answer has ended.
                context.waker().wake_by_ref();
                break;
            }
            ready!(body.poll_prepare(context))?;
            let written = body.poll_write(&mut self.stream, context);
            ready!(self.note_written(context, written))?;
        }
        state.exchange.note_flushed();
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(self.poll_repeat(context))?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::{advance, timeout};

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), reading: Duration::from_mins(1) };

    /// A connection whose client reads nothing beyond 8 bytes, and that client.
    fn connection() -> (Connection<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (server, client) = duplex(8);
        (Connection::new(server, PATIENCE, None, None), client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_head_must_come_in_time() {
        let (mut connection, mut client) = connection();
        let mut read = [0; 1];
        drop(connection.state().answer());
        for _ in 0..9 {
            client.write_all(b"x").await.unwrap();
            connection.read_exact(&mut read).await.unwrap();
            advance(Duration::from_secs(1)).await;
        }
        let error =
            timeout(Duration::from_secs(2), connection.read_exact(&mut read)).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn first_heads_silence_and_bodies_are_for_others_to_time() {
        let (mut connection, mut client) = connection();
        let mut read = [0; 1];
        let long = Duration::from_hours(1);
        client.write_all(b"x").await.unwrap();
        connection.read_exact(&mut read).await.unwrap();
        assert!(timeout(long, connection.read_exact(&mut read)).await.is_err(), "the first head");
        let answering = connection.state().answer();
        client.write_all(b"x").await.unwrap();
        connection.read_exact(&mut read).await.unwrap();
        assert!(timeout(long, connection.read_exact(&mut read)).await.is_err(), "a body");
        drop(answering);
        assert!(timeout(long, connection.read_exact(&mut read)).await.is_err(), "nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_must_be_read() {
        let (mut connection, mut client) = connection();
        connection.write_all(b"12345678").await.unwrap();
        let mut read = [0; 1];
        for _ in 0..5 {
            assert!(
                timeout(Duration::from_secs(50), connection.write_all(b"9")).await.is_err(),
                "still time"
            );
            client.read_exact(&mut read).await.unwrap();
            connection.write_all(b"9").await.unwrap();
        }
        let error = timeout(Duration::from_secs(61), connection.write_all(b"9")).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_waits_for_its_turn_is_not_late() {
        let (mut connection, mut client) = connection();
        let mut read = [0; 1];
        drop(connection.state().answer());
        client.write_all(b"x").await.unwrap();
        connection.read_exact(&mut read).await.unwrap();
        // A long answer is still on its way.
        for _ in 0..10 {
            advance(Duration::from_secs(9)).await;
            connection.write_all(b"1").await.unwrap();
            client.read_exact(&mut read).await.unwrap();
        }
        let mut context = Context::from_waker(Waker::noop());
        assert!(connection.check(&mut context).is_ok());
    }
}
