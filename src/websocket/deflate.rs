//! The payload of compressed messages: [RFC 7692 section 7.2](https://www.rfc-editor.org/rfc/rfc7692#section-7.2), above
//! zlib-rs.
//!
//! A decompressor has to keep the peer's window from message to message, unless that is ruled out, so a connection has
//! its own from the first compressed message on. A compressor may forget at any time: the threads of the runtime have a
//! few, and lend them, so that connections do not need one each.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::extensions::Parameters;
use super::frame::Role;

/// What ends the data of a message and is not sent: an empty stored block without its first bits.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// Bytes that are inflated at once.
pub(crate) const OUTPUT: usize = 64 * 1024;
/// Compressors that a thread keeps, each of 0.4 MB with a window of 32 KiB.
const MAX_COMPRESSORS: usize = 16;
/// What zlib can compress with; a smaller window is kept to all the same, see `Deflater::new`.
const MIN_WINDOW_BITS: u8 = 9;
const MAX_WINDOW_BITS: u8 = 15;
/// How many sizes of windows compressors have.
pub(crate) const WINDOW_SIZES: usize = (MAX_WINDOW_BITS - MIN_WINDOW_BITS + 1) as usize;

/// Whether an end keeps its window from message to message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextTakeover {
    /// A message may refer to the ones before it.
    Allowed,
    /// Each message begins with an empty window.
    RuledOut,
}

impl ContextTakeover {
    /// From a parameter of the negotiation.
    fn unless(no_context_takeover: bool) -> Self {
        if no_context_takeover {
            Self::RuledOut
        } else {
            Self::Allowed
        }
    }
}

/// permessage-deflate of one connection: as its script wants it, or as both ends have agreed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deflate {
    pub(crate) parameters: Parameters,
    /// Bytes from which on a message is worth compressing.
    pub(crate) threshold: usize,
    /// 0 to 9.
    pub(crate) level: u8,
}

impl Deflate {
    /// For what the other end sends.
    pub(crate) fn inflater(&self, role: Role) -> Inflater {
        Inflater::new(ContextTakeover::unless(match role {
            Role::Client => self.parameters.server_no_context_takeover,
            Role::Server => self.parameters.client_no_context_takeover,
        }))
    }

    /// For what this end sends.
    pub(crate) fn deflater(&self, role: Role) -> Deflater {
        let (no_context_takeover, window_bits) = match role {
            Role::Client => (
                self.parameters.client_no_context_takeover,
                self.parameters.client_max_window_bits,
            ),
            Role::Server => (
                self.parameters.server_no_context_takeover,
                self.parameters.server_max_window_bits,
            ),
        };
        Deflater::new(self.level, window_bits, ContextTakeover::unless(no_context_takeover))
    }
}

/// The peer's data is not DEFLATE, or refers to what it has ruled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Corrupt;

thread_local! {
    /// A decompressor whose message has ended and that need not remember it.
    static SPARE_DECOMPRESSOR: Cell<Option<Decompress>> = const { Cell::new(None) };
    static SPARE_OUTPUT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static SPARE_COMPRESSED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The one used last stands last.
    static COMPRESSORS: RefCell<Vec<Kept>> = const { RefCell::new(Vec::new()) };
}

/// Memory to inflate to, of the thread.
struct Output(Vec<u8>);

impl Output {
    fn of_thread() -> Self {
        let mut memory = SPARE_OUTPUT.take();
        memory.resize(OUTPUT, 0);
        Self(memory)
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // Where the thread's own memory is gone, the thread ends.
        let _ending = SPARE_OUTPUT.try_with(|spare| spare.set(std::mem::take(&mut self.0)));
    }
}

/// How far the whole data of a message fits into the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whole {
    /// The message has this many bytes.
    Fits(usize),
    /// The output is full after this many bytes of the data.
    Longer(usize),
}

/// Inflates the messages of one connection.
pub(crate) struct Inflater {
    context_takeover: ContextTakeover,
    stream: Option<Decompress>,
    /// Something was inflated since the message, or a stream within it, began.
    is_within_stream: bool,
    /// How much of the tail has followed the message's data.
    tail: usize,
    output: Option<Output>,
}

impl Inflater {
    /// For a peer with or without context takeover.
    pub(crate) fn new(context_takeover: ContextTakeover) -> Self {
        Self {
            context_takeover,
            stream: None,
            is_within_stream: false,
            tail: 0,
            output: None,
        }
    }

    /// Inflates from the start of `data`, which is what is left of a piece of a message, and takes off what it has used.
    /// Returns what came out; all came out if that is shorter than [`OUTPUT`].
    pub(crate) fn inflate(&mut self, data: &mut &[u8]) -> Result<&[u8], Corrupt> {
        let mut output = self.output.take().unwrap_or_else(Output::of_thread);
        let length = self.step(data, &mut output.0);
        let output = self.output.insert(output);
        length.map(|length| &output.0[..length])
    }

    /// Goes on when all the data of a message has been inflated. Returns what came out; with less than [`OUTPUT`] the
    /// message is complete.
    pub(crate) fn finish(&mut self) -> Result<&[u8], Corrupt> {
        let mut output = self.output.take().unwrap_or_else(Output::of_thread);
        let length = self.step_to_end(&mut output.0);
        let output = self.output.insert(output);
        length.map(|length| &output.0[..length])
    }

    /// Inflates the whole data of a message, as far as the output goes.
    pub(crate) fn whole(&mut self, data: &[u8]) -> Result<Whole, Corrupt> {
        let mut output = self.output.take().unwrap_or_else(Output::of_thread);
        let mut rest = data;
        let whole = self.step(&mut rest, &mut output.0).and_then(|length| {
            let left = &mut output.0[length..];
            if !left.is_empty() {
                let more = self.step_to_end(left)?;
                if length + more < OUTPUT {
                    return Ok(Whole::Fits(length + more));
                }
            }
            Ok(Whole::Longer(data.len() - rest.len()))
        });
        self.output = Some(output);
        whole
    }

    /// The first `length` bytes of what came out last.
    pub(crate) fn output(&self, length: usize) -> &[u8] {
        self.output.as_ref().map_or(&[], |output| &output.0[..length])
    }

    /// Gives the thread its memory back. What came out last is gone.
    pub(crate) fn release(&mut self) {
        self.output = None;
    }

    /// Inflates until the data or the room in `output` is used up.
    fn step(&mut self, data: &mut &[u8], output: &mut [u8]) -> Result<usize, Corrupt> {
        let mut length = 0;
        while !data.is_empty() || self.is_within_stream {
            let stream = self
                .stream
                .get_or_insert_with(|| SPARE_DECOMPRESSOR.take().unwrap_or_else(|| Decompress::new(false)));
            let (read, written) = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress(data, &mut output[length..], FlushDecompress::None)
                .map_err(|_| Corrupt)?;
            let read = (stream.total_in() - read) as usize;
            let written = (stream.total_out() - written) as usize;
            *data = &data[read..];
            length += written;
            self.is_within_stream = true;
            if status == Status::StreamEnd {
                // A block with BFINAL: what follows is another stream (section 7.2.3.4).
                stream.reset(false);
                self.is_within_stream = false;
                continue;
            }
            if length == output.len() || data.is_empty() {
                break;
            }
            if read == 0 && written == 0 {
                return Err(Corrupt);
            }
        }
        Ok(length)
    }

    fn step_to_end(&mut self, output: &mut [u8]) -> Result<usize, Corrupt> {
        let mut length = 0;
        // Data that is empty, or that ended with BFINAL, is complete as it is.
        if self.is_within_stream {
            let mut tail = &TAIL[self.tail..];
            length = self.step(&mut tail, output)?;
            self.tail = TAIL.len() - tail.len();
        }
        if length < output.len() {
            self.tail = 0;
            self.is_within_stream = false;
            if self.context_takeover == ContextTakeover::RuledOut
                && let Some(mut stream) = self.stream.take()
            {
                stream.reset(false);
                SPARE_DECOMPRESSOR.set(Some(stream));
            }
        }
        Ok(length)
    }
}

/// How a connection compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Settings {
    level: u8,
    window_bits: u8,
}

impl Settings {
    fn make(self) -> Compress {
        Compress::new_with_window_bits(Compression::new(self.level.into()), false, self.window_bits)
    }
}

/// A compressor between messages.
struct Kept {
    /// The last message that is in its window; 0 is none. Only who sent nothing compressed since may refer to it.
    last: u64,
    settings: Settings,
    compressor: Compress,
}

/// Compresses the messages of one connection.
pub(crate) struct Deflater {
    context_takeover: ContextTakeover,
    settings: Settings,
    /// The message before, in whose compressor the window is; 0 is none.
    last: u64,
    /// While a message is being compressed.
    compressor: Option<Compress>,
    compressed: Vec<u8>,
}

/// How far a message is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Call again with the rest.
    Partly,
    /// Its data stands in [`Deflater::compressed`].
    Complete,
}

impl Deflater {
    /// A compressor of `level` 0 to 9 with a window of `window_bits`.
    ///
    /// zlib can't compress with a window of 256 bytes, but refers with one of 512 bytes to no more than the last 250.
    pub(crate) fn new(level: u8, window_bits: u8, context_takeover: ContextTakeover) -> Self {
        Self {
            context_takeover,
            settings: Settings {
                level: level.min(9),
                window_bits: window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS),
            },
            last: 0,
            compressor: None,
            compressed: Vec::new(),
        }
    }

    /// One like it, for a message that refers to no other and to which no other will refer.
    pub(crate) fn for_one_message(&self) -> Self {
        Self {
            context_takeover: ContextTakeover::RuledOut,
            settings: self.settings,
            last: 0,
            compressor: None,
            compressed: Vec::new(),
        }
    }

    /// Which of the sizes its window has.
    pub(crate) fn window_size(&self) -> usize {
        usize::from(self.settings.window_bits - MIN_WINDOW_BITS)
    }

    /// Compresses up to `most` bytes from the start of `data`, the rest of a message, and takes them off.
    pub(crate) fn deflate(&mut self, data: &mut &[u8], most: usize) -> Progress {
        let compressor = self.compressor.get_or_insert_with(|| {
            self.compressed = SPARE_COMPRESSED.take();
            lend(self.last, self.settings)
        });
        let (mut now, later) = data.split_at(data.len().min(most));
        let flush = if later.is_empty() {
            FlushCompress::Sync
        } else {
            FlushCompress::None
        };
        // JSON becomes a quarter or less.
        self.compressed.reserve(now.len() / 4 + 64);
        loop {
            let before = compressor.total_in();
            compressor
                .compress_vec(now, &mut self.compressed, flush)
                .expect("a compressor takes anything");
            now = &now[(compressor.total_in() - before) as usize..];
            if self.compressed.len() < self.compressed.capacity() && now.is_empty() {
                break;
            }
            self.compressed.reserve(now.len() / 2 + 64);
        }
        *data = later;
        if !later.is_empty() {
            return Progress::Partly;
        }
        if self.compressed.is_empty() {
            // Of an empty message nothing comes out: an empty block (section 7.2.3.6).
            self.compressed.push(0);
            return Progress::Complete;
        }
        debug_assert!(self.compressed.ends_with(&TAIL), "it was flushed");
        self.compressed.truncate(self.compressed.len() - TAIL.len());
        Progress::Complete
    }

    /// The data of the message that is complete.
    pub(crate) fn compressed(&self) -> &[u8] {
        &self.compressed
    }

    /// The message was sent compressed: what follows may refer to it.
    pub(crate) fn keep(&mut self) {
        static LAST: AtomicU64 = AtomicU64::new(0);
        self.last = match self.context_takeover {
            ContextTakeover::Allowed => LAST.fetch_add(1, Ordering::Relaxed) + 1,
            ContextTakeover::RuledOut => 0,
        };
        self.give_back();
    }

    /// The message was sent as it is: what follows must not refer to it.
    pub(crate) fn forget(&mut self) {
        self.last = 0;
        self.give_back();
    }

    fn give_back(&mut self) {
        self.compressed.clear();
        if self.compressed.capacity() <= OUTPUT {
            SPARE_COMPRESSED.set(std::mem::take(&mut self.compressed));
        } else {
            self.compressed = Vec::new();
        }
        if let Some(compressor) = self.compressor.take() {
            let (last, settings) = (self.last, self.settings);
            COMPRESSORS.with_borrow_mut(|kept| {
                if kept.len() == MAX_COMPRESSORS {
                    kept.remove(0);
                }
                kept.push(Kept {
                    last,
                    settings,
                    compressor,
                });
            });
        }
    }
}

/// The compressor with the message `last` in its window, if this thread still has it, or one with an empty window.
fn lend(last: u64, settings: Settings) -> Compress {
    COMPRESSORS.with_borrow_mut(|kept| {
        let is_of = |kept: &Kept, last| kept.last == last && kept.settings == settings;
        if last != 0
            && let Some(index) = kept.iter().rposition(|kept| is_of(kept, last))
        {
            return kept.remove(index).compressor;
        }
        let mut free = kept.iter().rposition(|kept| is_of(kept, 0));
        if free.is_none() && kept.len() == MAX_COMPRESSORS {
            free = kept.iter().position(|kept| kept.settings == settings);
        }
        match free {
            Some(index) => {
                let mut compressor = kept.remove(index).compressor;
                compressor.reset();
                compressor
            }
            None => settings.make(),
        }
    })
}

#[cfg(test)]
mod tests;
