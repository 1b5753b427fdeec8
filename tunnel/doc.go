// Package tunnel carries streams between two programs over several TCP
// connections at once: sessions of 1 to 16 lanes, on which streams, which are
// net.Conns, are multiplexed. A stream survives the loss of every lane: what
// was not acknowledged goes over the others, or over the next that joins
// within 30 s. spec.md is the byte-exact description of what is on the wire.
//
// The package knows nothing of HTTP. One end dials lanes and proves a key (the
// agent, Dial), the other accepts them (the relay, Acceptor); once a session
// stands, both may open streams.
package tunnel
