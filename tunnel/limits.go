package tunnel

import "time"

// Limits on the data that one end accepts from the other. They are part of the
// protocol (spec.md): a session ends when one end exceeds them.
const (
	// MaxPayload bounds Config.Hello and its answer, in bytes.
	MaxPayload = 16 << 10
	// MaxHead bounds the head that a stream is opened with, in bytes.
	MaxHead = 1 << 10
	// MaxData bounds the bytes of a stream in one frame: with its header it
	// fills one TLS record (RFC 8446 section 5.1).
	MaxData = 16<<10 - 64
	// MaxLanes bounds the lanes that a session uses.
	MaxLanes = 16
	// maxJoined bounds them together with those that retire.
	maxJoined = 2 * MaxLanes
	// MaxStreams bounds the streams that one end may have open at once.
	MaxStreams = 4096
	// FirstCredit is how many bytes each end of a stream that the relay opens may
	// send before the first credit arrives.
	FirstCredit = 256 << 10
	// ControlCredit is the same for a stream that the agent opens, which carries a
	// short message.
	ControlCredit = 16 << 10
	// MaxCredit bounds the credit of a stream, in bytes.
	MaxCredit = 8 << 20
	// maxMessage bounds the text of a refusal, in bytes.
	maxMessage = 256
	// maxPieces bounds the frames of one stream that wait for bytes before them.
	// Credit limits them too; this limits the cost of tiny frames in addition to
	// their bytes.
	maxPieces = 8192
)

// Times of a session.
const (
	// HandshakeTimeout bounds the exchange of hello and welcome.
	HandshakeTimeout = 10 * time.Second
	// ResumeTimeout is how long both ends keep a session without any lane.
	ResumeTimeout = 30 * time.Second
	// silence is how long a lane may owe an answer before it counts as dead.
	silence = 12 * time.Second
	// pingEvery is how often the end that dialled an idle lane asks it for a sign of
	// life. Routers forget idle connections after minutes, HTTP proxies after one.
	pingEvery = 15 * time.Second
	// patience is how long the accepting end waits for these pings.
	patience = pingEvery + 2*silence
	// probeTimeout is how long a lane has for its sign of life after Probe.
	probeTimeout = 2 * time.Second
	// ackDelay is how long an acknowledgement waits for a frame to be sent with.
	ackDelay = 5 * time.Millisecond
	// closeTimeout bounds the writing of the last frame of a session.
	closeTimeout = time.Second
)

// Sizes of the scheduler, in bytes.
const (
	// shortBytes is how much of a stream may be unacknowledged when the next write
	// is still a short message.
	shortBytes = 16 << 10
	// shortFrames bounds the same in frames, so that many tiny writes are joined.
	shortFrames = 64
	// hedgeBytes bounds the frames that go over two lanes.
	hedgeBytes = 6 << 10
	// queueBytes is how much a stream holds that no lane has taken.
	queueBytes = 256 << 10
	// ackBytes are acknowledged at once, without waiting for ackDelay.
	ackBytes = 64 << 10
	// keptBytes is how much a session keeps to send again. Beyond it a stream may
	// write shortBytes only: the other end could grant endless credit, and
	// acknowledge nothing.
	keptBytes = 32 << 20
	// budgetBytes is how much credit the streams of a session may have together
	// beyond the first credit of each.
	budgetBytes = 64 << 20
)
