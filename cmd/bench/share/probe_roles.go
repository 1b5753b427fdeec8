package share

import (
	"context"
	"errors"
	"net"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// probeServe answers each request once.
func probeServe(s spec) error {
	conns := make([]*net.TCPConn, 0, s.Lanes)
	for range s.Lanes {
		conn, err := net.Dial("tcp", s.Addr)
		if err != nil {
			return err
		}
		conns = append(conns, conn.(*net.TCPConn))
	}
	var seen sync.Map
	ready := make(chan struct{})
	var end *probeEnd
	end = newProbeEnd(conns, func(id, size, _ uint32, _ int) {
		<-ready
		if _, twice := seen.LoadOrStore(id, true); !twice {
			go end.send(id, size, int(size))
		}
	})
	close(ready)
	end.wg.Wait() // until the other end leaves, or the parent ends us
	return nil
}

// probeClient asks and collects the answers.
type probeClient struct {
	end *probeEnd
	ids atomic.Uint32

	mu   sync.Mutex
	open map[uint32]*probeAnswer
}

type probeAnswer struct {
	seen map[uint32]bool // offsets
	got  int64
	done chan struct{}
}

func (c *probeClient) take(id, size, offset uint32, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.open[id]
	if a == nil || a.seen[offset] {
		return
	}
	a.seen[offset] = true
	if a.got += int64(n); a.got == int64(size) {
		close(a.done)
	}
}

func (c *probeClient) get(ctx context.Context, size int) (int64, error) {
	id := c.ids.Add(1)
	a := &probeAnswer{seen: map[uint32]bool{}, done: make(chan struct{})}
	c.mu.Lock()
	c.open[id] = a
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.open, id)
	}()
	c.end.send(id, uint32(size), requestSize)
	select {
	case <-a.done:
		return int64(size), nil
	case <-ctx.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		return a.got, ctx.Err()
	}
}

func (*probeClient) stall(context.Context, int) error {
	return errors.New("the probe has no flow control, so that nobody can stop reading")
}

func probeLoad(s spec) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := tell(message{Ready: listener.Addr().String()}); err != nil {
		return err
	}
	const patience = 30 * time.Second // the first packets may be lost
	if err := listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	var conns []*net.TCPConn
	for range s.Lanes {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		conns = append(conns, conn.(*net.TCPConn))
	}
	c := &probeClient{open: map[uint32]*probeAnswer{}}
	c.end = newProbeEnd(conns, c.take)
	defer c.end.close()
	for _, r := range s.Rows {
		res, err := r.run(ctx, c)
		if err != nil {
			return err
		}
		res.Session = &sessionFacts{Lanes: s.Lanes, Congestion: congestionOf(conns[0])}
		if err := tell(message{Result: &res}); err != nil {
			return err
		}
	}
	return nil
}
