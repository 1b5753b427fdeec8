package tunnel

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ALPN is the protocol that a lane's TLS handshake agrees on (RFC 7301).
const ALPN = "devproxy/1"

// version follows magic at the start of hello and welcome.
const version = 1

const (
	magic         = "DVPX"
	sessionIDSize = 16
	bindingSize   = 32
	// bindingLabel is the label of the TLS exporter; IANA keeps those that
	// begin with EXPERIMENTAL for private use (RFC 5705 section 4).
	bindingLabel = "EXPERIMENTAL-devproxy-lane"
	// proofContext keeps a signature from meaning anything elsewhere.
	proofContext = "devproxy/1 lane\x00"
)

// Binding is the TLS exporter (RFC 8446 section 7.5) that a lane's handshake
// signs: 32 bytes that both ends of a connection know and that no other
// connection has. It fails before the TLS handshake has ended.
func Binding(state tls.ConnectionState) ([]byte, error) {
	if state.Version < tls.VersionTLS13 {
		return nil, errors.New("a lane needs TLS 1.3")
	}
	return state.ExportKeyingMaterial(bindingLabel, nil, bindingSize)
}

type sessionID [sessionIDSize]byte

// hello is the first message on a lane, from the end that dialled.
type hello struct {
	session sessionID // zero: a new session
	key     ed25519.PublicKey
	payload []byte
}

// encode returns h with the proof that the key's owner made it for the connection
// with this binding.
func (h *hello) encode(key ed25519.PrivateKey, binding []byte) []byte {
	b := append([]byte(magic), version)
	b = append(b, h.session[:]...)
	b = append(b, h.key...)
	b = appendString16(b, string(h.payload))
	return append(b, ed25519.Sign(key, proof(binding, b))...)
}

// proof returns the bytes that are signed.
func proof(binding, hello []byte) []byte {
	return append(append([]byte(proofContext), binding...), hello...)
}

// readHello reads a hello and checks its proof. A *Refusal is the answer to send.
func readHello(r io.Reader, binding []byte) (hello, error) {
	const keyAt = len(magic) + 1 + sessionIDSize
	const fixed = keyAt + ed25519.PublicKeySize + 2
	in := fieldReader{r: r}
	b := in.bytes(fixed)
	if in.err != nil {
		return hello{}, in.err
	}
	if err := checkVersion(b); err != nil {
		return hello{}, err
	}
	size := int(binary.BigEndian.Uint16(b[fixed-2:]))
	if size > MaxPayload {
		return hello{}, &Refusal{CodeBadHello, fmt.Sprintf("a hello of %d bytes; at most %d are allowed", size, MaxPayload)}
	}
	tail := in.bytes(size + ed25519.SignatureSize)
	if in.err != nil {
		return hello{}, in.err
	}
	h := hello{session: sessionID(b[len(magic)+1 : keyAt]), key: b[keyAt : fixed-2 : fixed-2], payload: tail[:size]}
	if !ed25519.Verify(h.key, proof(binding, append(b, h.payload...)), tail[size:]) {
		return hello{}, &Refusal{CodeBadProof, "the proof does not fit this connection: something on the way decrypts TLS, or the hello was copied from another"}
	}
	return h, nil
}

func checkVersion(b []byte) error {
	if string(b[:len(magic)]) != magic {
		return &Refusal{CodeBadHello, "not a devproxy lane"}
	}
	if v := b[len(magic)]; v != version {
		return &Refusal{CodeBadHello, fmt.Sprintf("lanes of version %d are not known here, only of %d: update the older devproxy", v, version)}
	}
	return nil
}

// welcome is the accepting end's answer.
type welcome struct {
	refusal *Refusal // nil: the fields below
	session sessionID
	lane    uint16 // this lane's number in its session
	payload []byte // Admit's answer; empty for a further lane
}

func (w welcome) encode() []byte {
	b := append([]byte(magic), version)
	if w.refusal != nil {
		b = append(b, 1)
		b = binary.BigEndian.AppendUint16(b, uint16(w.refusal.Code))
		return appendString16(b, cut(w.refusal.Message))
	}
	b = append(b, 0)
	b = append(b, w.session[:]...)
	b = binary.BigEndian.AppendUint16(b, w.lane)
	return appendString16(b, string(w.payload))
}

func appendString16(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(len(s)))
	return append(b, s...)
}

// cut shortens a message to the length that is allowed.
func cut(message string) string { return message[:min(len(message), maxMessage)] }

func readWelcome(r io.Reader) (w welcome, err error) {
	in := fieldReader{r: r}
	b := in.bytes(len(magic) + 2)
	if in.err != nil {
		return w, in.err
	}
	if err := checkVersion(b); err != nil {
		return w, err
	}
	switch result := b[len(magic)+1]; result {
	case 0:
		copy(w.session[:], in.bytes(sessionIDSize))
		w.lane = in.uint16()
		w.payload = in.string16(MaxPayload)
	case 1:
		code := in.uint16()
		w.refusal = &Refusal{Code(code), string(in.string16(maxMessage))}
	default:
		return w, &ProtocolError{fmt.Sprintf("a welcome that begins with %d", result)}
	}
	return w, in.err
}

// fieldReader reads the fields of a handshake or a frame. After its first error it reads
// nothing, and every field is empty.
type fieldReader struct {
	r   io.Reader
	err error
}

func (r *fieldReader) bytes(n int) []byte {
	if r.err != nil {
		return nil
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r.r, b); err != nil {
		r.err = unexpected(err)
		return nil
	}
	return b
}

func (r *fieldReader) uint16() uint16 {
	b := r.bytes(2)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint16(b)
}

func (r *fieldReader) string16(most int) []byte {
	n := int(r.uint16())
	if n > most && r.err == nil {
		r.err = &ProtocolError{fmt.Sprintf("a welcome with %d bytes; at most %d are allowed", n, most)}
	}
	return r.bytes(n)
}
