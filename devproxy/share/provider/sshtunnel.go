package provider

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshTimes are the limits of a tunnel; tests have shorter ones.
type sshTimes struct {
	// handshake bounds the key exchange and the authentication, for which the
	// user may have to touch a key.
	handshake time.Duration
	// setup bounds the requests for a session and for the forwarding together.
	setup time.Duration
	// link is how long the server may take to announce the public address once
	// it forwards.
	link time.Duration
	// rename is how long a public name must last: a service that changes it
	// more often does not work.
	rename time.Duration
	// keepaliveEvery is how often the server is asked for a sign of life, and
	// keepaliveTimeout how long it may take to answer: it is dead after 30 s.
	keepaliveEvery, keepaliveTimeout time.Duration
	// linger is how long a closed connection may take to send the rest.
	linger time.Duration
}

// usualTimes are the limits outside tests.
var usualTimes = sshTimes{
	handshake: 40 * time.Second, setup: 20 * time.Second, link: 15 * time.Second, rename: time.Minute,
	keepaliveEvery: 15 * time.Second, keepaliveTimeout: 15 * time.Second, linger: sendLinger,
}

const (
	// maxVisitors is how many connections of visitors a tunnel carries at once.
	// Each may cost the 2 MB that package ssh lets the other end send unread.
	maxVisitors = 128
	// maxWaiting is how many more may wait for their turn, which costs almost
	// nothing. The rest are refused.
	maxWaiting = 1024
)

// sshOpener opens tunnels at an SSH server.
type sshOpener struct {
	server *sshServer
	keys   hostKeys
	getenv func(string) string
	peer   net.Addr
	times  sshTimes
}

func newSSHOpener(server *sshServer, opts Options) *sshOpener {
	o := &sshOpener{
		server: server, getenv: opts.Getenv, peer: addr(server.word),
		keys:  hostKeys{own: filepath.Join(opts.Home, knownFile), pin: server.pin, note: opts.Note},
		times: usualTimes,
	}
	if home := o.userHome(); home != "" {
		o.keys.users = filepath.Join(home, ".ssh", "known_hosts")
	}
	return o
}

// userHome returns the user's home directory, empty when it is not known.
func (o *sshOpener) userHome() string { return cmp.Or(o.getenv("HOME"), o.getenv("USERPROFILE")) }

// sshTunnel is a forwarded port, from its connection's handshake to its end.
type sshTunnel struct {
	*sshOpener
	way *way
	*sshConn
	fail context.CancelCauseFunc // ends the tunnel

	running sync.WaitGroup
	waiting chan ssh.NewChannel
	says    chan announcement // has room for the address in the URL
	text    *sessionText
}

// open implements opener.
func (o *sshOpener) open(ctx context.Context, way *way) error {
	conn, err := o.connect(ctx)
	if err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	t := &sshTunnel{
		sshOpener: o, way: way, sshConn: conn, fail: fail,
		waiting: make(chan ssh.NewChannel, maxWaiting), says: make(chan announcement, 1), text: new(sessionText),
	}
	defer t.running.Wait()
	defer conn.Close()
	defer fail(nil)
	// Channels are taken before anything is requested, so that no visitor is too early.
	channels := conn.HandleChannelOpen("forwarded-tcpip")
	t.running.Go(func() { t.queue(channels) })
	t.running.Go(func() { fail(broken(o.server.word, plainly(conn.Wait()))) })
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	if err := t.stay(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return context.Cause(ctx)
}

// stay opens the tunnel and lets visitors in until ctx ends.
func (t *sshTunnel) stay(ctx context.Context) error {
	port, err := t.setup(ctx)
	if err != nil {
		return err
	}
	return t.follow(ctx, port)
}

// setup has the server forward a port, and returns it. The session comes first:
// services tie the tunnel to it, and sish waits a second for it (sshmuxer/requests.go).
// With url= no session is opened: nothing would be read from it, and a plain sshd may refuse
// its user a shell.
func (t *sshTunnel) setup(parent context.Context) (port uint32, err error) {
	ctx, cancel := context.WithTimeout(parent, t.times.setup)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { t.Close() })
	defer stop()
	slow := func(err error) error {
		switch {
		case ctx.Err() != nil:
			err = fmt.Errorf("the server did not answer within %v", t.times.setup)
		case errors.Is(err, io.EOF):
			err = t.Wait() // the server may have sent a reason
		}
		return broken(t.server.word, plainly(err))
	}
	if t.server.public != (link{}) {
		t.says <- announcement{link: t.server.public}
	} else if err := t.startSession(parent); err != nil {
		return 0, slow(err)
	}
	request := ssh.Marshal(struct {
		Addr string
		Port uint32
	}{t.server.listen, uint32(t.server.listenPort)})
	ok, answer, err := t.SendRequest("tcpip-forward", true, request)
	switch {
	case err != nil:
		return 0, slow(err)
	case !ok:
		return 0, t.server.unforwarded(t.text.last())
	case t.server.listenPort != 0:
		return uint32(t.server.listenPort), nil
	case len(answer) < 4:
		return 0, slow(errors.New("the server does not say which port it forwards"))
	}
	return binary.BigEndian.Uint32(answer), nil
}

// startSession starts the session in which a service writes the public address. It is
// not an error when the server refuses the session or the shell: it may still forward.
func (t *sshTunnel) startSession(ctx context.Context) error {
	channel, requests, err := t.OpenChannel("session", nil)
	if _, isRefused := errors.AsType[*ssh.OpenChannelError](err); isRefused {
		return nil
	}
	if err != nil {
		return err
	}
	t.running.Go(func() { ssh.DiscardRequests(requests) })
	// Both are read to their end, since they share a window.
	t.running.Go(func() { t.read(ctx, channel) })
	t.running.Go(func() { t.read(ctx, channel.Stderr()) })
	kind, payload := "shell", []byte(nil)
	if t.server.command != "" {
		kind, payload = "exec", ssh.Marshal(struct{ Command string }{t.server.command})
	}
	_, err = channel.SendRequest(kind, true, payload)
	return err
}

// follow lets visitors in once the server has announced the public address, and changes
// the public name when the server does, until ctx ends.
func (t *sshTunnel) follow(ctx context.Context, port uint32) error {
	var public link
	var since time.Time
	limit := time.After(t.times.link)
	for {
		select {
		case found := <-t.says:
			switch {
			case found.link == (link{}):
				return t.server.refused(found.refused)
			case found.link == public:
				continue
			case time.Since(since) < t.times.rename:
				return broken(t.server.word, errors.New("the server changes the public name too often"))
			}
			isFirst := public == (link{})
			public, since = found.link, time.Now()
			t.way.up(public)
			if isFirst {
				limit = nil
				t.running.Go(func() { t.letIn(ctx, port) })
				t.running.Go(func() { t.keepAlive(ctx) })
			}
		case <-limit:
			return t.server.unnamed(t.text.last())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// read reads a stream of the session to its end, and sends its announcements to
// says. After an address in text for people nothing more is announced: sish and
// serveo then print the requests of visitors, who could write addresses there.
func (t *sshTunnel) read(ctx context.Context, stream io.Reader) {
	lines := new(textLines)
	buffer := make([]byte, 4<<10)
	for {
		n, err := stream.Read(buffer)
		if t.text.take(n) {
			lines.feed(buffer[:n], func(line string) {
				says := t.text.line(line)
				if says == (announcement{}) {
					return
				}
				select {
				case t.says <- says:
				case <-ctx.Done():
				}
			})
		}
		if err != nil {
			return
		}
	}
}

// keepAlive fails the tunnel when nothing has come from the server for as long as
// both times, though it was asked. While much data is on its way the answer may take
// longer than that, but the data counts too.
func (t *sshTunnel) keepAlive(ctx context.Context) {
	dead := t.times.keepaliveEvery + t.times.keepaliveTimeout
	for {
		if sleep(ctx, t.times.keepaliveEvery) != nil {
			return
		}
		answered := make(chan struct{})
		t.running.Go(func() {
			defer close(answered)
			// Any answer will do: a server that does not know the request
			// refuses it (RFC 4254 section 4).
			_, _, _ = t.SendRequest("keepalive@openssh.com", true, nil)
		})
		for waiting := true; waiting; {
			select {
			case <-answered:
				waiting = false
			case <-time.After(dead - t.socket.silence()):
				if t.socket.silence() >= dead {
					t.fail(broken(t.server.word, fmt.Errorf("the server has not answered for %v", dead)))
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

// queue takes the channels that the server opens. It never waits for current
// visitors: package ssh, which has room for a few, would stop reading meanwhile.
func (t *sshTunnel) queue(channels <-chan ssh.NewChannel) {
	for channel := range channels {
		select {
		case t.waiting <- channel:
		default:
			_ = channel.Reject(ssh.ResourceShortage, "too many visitors are waiting")
		}
	}
}

// letIn accepts the visitors that wait, maxVisitors at a time.
func (t *sshTunnel) letIn(ctx context.Context, port uint32) {
	places := make(chan struct{}, maxVisitors)
	for {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		next := t.next(ctx, port)
		if next == nil {
			return
		}
		channel, requests, err := next.Accept()
		if err != nil {
			return // the connection has ended
		}
		t.running.Go(func() { ssh.DiscardRequests(requests) })
		conn := newChannelConn(t.peer)
		t.running.Go(func() {
			conn.carry(ctx, channel, t.times.linger)
			<-places
		})
		// No server of this kind identifies the visitor: a service or an HTTPS
		// proxy is in between, sish sends its own name, and tunnl.gg 127.0.0.1. A
		// wrong address would pass `allow`.
		t.way.accept(ctx, conn)
	}
}

// next returns the channel of the next visitor, nil once ctx has ended.
func (t *sshTunnel) next(ctx context.Context, port uint32) ssh.NewChannel {
	for {
		select {
		case channel := <-t.waiting:
			if isForwarded(channel.ExtraData(), port) {
				return channel
			}
			_ = channel.Reject(ssh.Prohibited, "this port was not requested")
		case <-ctx.Done():
			return nil
		}
	}
}

// isForwarded reports whether a channel is for the forwarded port (RFC 4254 section
// 7.2). The address is not compared: tunnl.gg always sends 127.0.0.1.
func isForwarded(payload []byte, port uint32) bool {
	var channel struct {
		Addr       string
		Port       uint32
		OriginAddr string // sish: not an address
		OriginPort uint32
	}
	return ssh.Unmarshal(payload, &channel) == nil && channel.Port == port
}
