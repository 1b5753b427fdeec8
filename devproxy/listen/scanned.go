package listen

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/devproxy/devproxy/tunnel/message"
)

// HeadTimeout bounds the arrival of a request's head. A browser sends it in one
// piece; a person typing into openssl has this long.
const HeadTimeout = 30 * time.Second

// scanned is an HTTP/1 connection behind the scanner, with its facts.
type scanned struct {
	*message.Conn
	about Conn
}

func (c *scanned) facts() *Conn { return &c.about }

// scannedTLS is scanned over TLS.
type scannedTLS struct {
	*message.TLSConn
	about Conn
}

func (c *scannedTLS) facts() *Conn { return &c.about }

// Scan puts the scanner of package message before a connection that speaks
// HTTP/1, whoever accepted it: a listener of a share's visitors wraps each of
// them and marks it with facts. A connection with a method Hijacked is told when
// a handler has taken it.
func Scan(c net.Conn, facts Conn) net.Conn {
	return &scanned{message.Scan(c, HeadTimeout), facts}
}

func scanTLS(c *tls.Conn, facts Conn) net.Conn {
	return &scannedTLS{message.ScanTLS(c, HeadTimeout), facts}
}
