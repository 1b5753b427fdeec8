package tunnel

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ALPN is the protocol that a lane's TLS handshake agrees on (RFC 7301).
const ALPN = "devproxy/1"

// version is what hello and welcome begin with, after magic.
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
// connection has. It fails before the TLS handshake is over.
func Binding(state tls.ConnectionState) ([]byte, error) {
	if state.Version < tls.VersionTLS13 {
		return nil, errors.New("a lane needs TLS 1.3")
	}
	return state.ExportKeyingMaterial(bindingLabel, nil, bindingSize)
}

type sessionID [sessionIDSize]byte

// hello is what the dialling end says first on a lane.
type hello struct {
	session sessionID // zero: a new session
	key     ed25519.PublicKey
	payload []byte
}

// encode is h with the proof that its key's owner made it for the connection
// with this binding.
func (h *hello) encode(key ed25519.PrivateKey, binding []byte) []byte {
	b := append([]byte(magic), version)
	b = append(b, h.session[:]...)
	b = append(b, h.key...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(h.payload)))
	b = append(b, h.payload...)
	return append(b, ed25519.Sign(key, proof(binding, b))...)
}

// proof is what is signed.
func proof(binding, hello []byte) []byte {
	return append(append([]byte(proofContext), binding...), hello...)
}

// readHello reads a hello and checks its proof. A *Refusal says what to answer.
func readHello(r io.Reader, binding []byte) (hello, error) {
	const fixed = len(magic) + 1 + sessionIDSize + ed25519.PublicKeySize + 2
	b := make([]byte, fixed, fixed+ed25519.SignatureSize)
	if _, err := io.ReadFull(r, b); err != nil {
		return hello{}, unexpected(err)
	}
	if err := checkVersion(b); err != nil {
		return hello{}, err
	}
	var h hello
	rest := b[len(magic)+1:]
	rest = rest[copy(h.session[:], rest):]
	h.key = ed25519.PublicKey(bytes.Clone(rest[:ed25519.PublicKeySize]))
	size := int(binary.BigEndian.Uint16(rest[ed25519.PublicKeySize:]))
	if size > MaxPayload {
		return hello{}, &Refusal{CodeBadHello, fmt.Sprintf("a hello of %d bytes; at most %d are allowed", size, MaxPayload)}
	}
	tail := make([]byte, size+ed25519.SignatureSize)
	if _, err := io.ReadFull(r, tail); err != nil {
		return hello{}, unexpected(err)
	}
	h.payload = tail[:size]
	if !ed25519.Verify(h.key, proof(binding, append(b, h.payload...)), tail[size:]) {
		return hello{}, &Refusal{CodeBadProof, "the proof does not fit this connection: something between decrypts TLS, or the hello was copied from another"}
	}
	return h, nil
}

func checkVersion(b []byte) error {
	if string(b[:len(magic)]) != magic {
		return &Refusal{CodeBadHello, "this is no devproxy lane"}
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

func (w *welcome) encode() []byte {
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

// cut shortens a message to what may be told.
func cut(message string) string { return message[:min(len(message), maxMessage)] }

func readWelcome(r io.Reader) (welcome, error) {
	b := make([]byte, len(magic)+2)
	if _, err := io.ReadFull(r, b); err != nil {
		return welcome{}, unexpected(err)
	}
	if err := checkVersion(b); err != nil {
		return welcome{}, err
	}
	switch b[len(magic)+1] {
	case 0:
		return readAdmitted(r)
	case 1:
		code, err := readUint16(r)
		if err != nil {
			return welcome{}, err
		}
		message, err := readString16(r, maxMessage)
		return welcome{refusal: &Refusal{Code(code), string(message)}}, err
	}
	return welcome{}, &ProtocolError{fmt.Sprintf("a welcome that begins with %d", b[len(magic)+1])}
}

// readAdmitted reads what a welcome that is no refusal says.
func readAdmitted(r io.Reader) (w welcome, err error) {
	if _, err := io.ReadFull(r, w.session[:]); err != nil {
		return w, unexpected(err)
	}
	if w.lane, err = readUint16(r); err != nil {
		return w, err
	}
	w.payload, err = readString16(r, MaxPayload)
	return w, err
}

func readUint16(r io.Reader) (uint16, error) {
	var b [2]byte
	_, err := io.ReadFull(r, b[:])
	return binary.BigEndian.Uint16(b[:]), unexpected(err)
}

func readString16(r io.Reader, most int) ([]byte, error) {
	n, err := readUint16(r)
	if err != nil {
		return nil, err
	}
	if int(n) > most {
		return nil, &ProtocolError{fmt.Sprintf("a welcome with %d bytes; at most %d are allowed", n, most)}
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, unexpected(err)
}
