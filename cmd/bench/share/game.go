package share

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// packetEvery is how often a player sends a packet: 60 times in a second.
	packetEvery = time.Second / 60
	// packetSize is that of a game's small packets.
	packetSize = 100
	// lateAfter is how long a player waits for an answer; a later one counts as lost.
	lateAfter = 2 * time.Second
	// joinPatience and joinEvery are for the first answer: peers do not report when they
	// are ready.
	joinPatience = 30 * time.Second
	joinEvery    = 200 * time.Millisecond
)

// errLost is the error of a packet without an answer.
var errLost = errors.New("packets without an answer")

// player sends packets over UDP and waits for their answers.
type player interface {
	// play sends one packet after the other, and adds each to the meter.
	play(ctx context.Context, packets, size int, m *meter) error
}

// play implements player.
func (c *httpClient) play(ctx context.Context, packets, size int, m *meter) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", c.game)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := join(conn, size); err != nil {
		return err
	}
	var mu sync.Mutex
	sent := make([]time.Time, packets) // zero once it is answered, or before it is sent
	left := packets                    // without an answer
	var answers sync.WaitGroup
	answers.Go(func() {
		for answer := make([]byte, size); ; {
			n, err := conn.Read(answer)
			if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
				return
			}
			number := packets // of the packets of join
			if err == nil && n == size {
				number = int(binary.BigEndian.Uint64(answer))
			}
			mu.Lock()
			if number < packets && !sent[number].IsZero() {
				if took := time.Since(sent[number]); took < lateAfter {
					m.add(took, int64(n), nil)
					sent[number] = time.Time{}
					left--
				}
			}
			done := left == 0
			mu.Unlock()
			if done {
				return
			}
		}
	})
	defer func() { // also when ctx ends before all packets are sent
		_ = conn.Close()
		answers.Wait()
	}()
	ticks := time.NewTicker(packetEvery)
	defer ticks.Stop()
	packet := make([]byte, size)
	for number := range packets {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		binary.BigEndian.PutUint64(packet, uint64(number))
		mu.Lock()
		sent[number] = time.Now()
		mu.Unlock()
		_, _ = conn.Write(packet) // an error counts as a lost packet
	}
	_ = conn.SetReadDeadline(time.Now().Add(lateAfter))
	answers.Wait()
	for _, at := range sent {
		if !at.IsZero() {
			m.add(0, 0, errLost)
		}
	}
	return nil
}

// join sends packets until one is answered. Their number is beyond those of the game.
func join(conn net.Conn, size int) error {
	hello, answer := make([]byte, size), make([]byte, size)
	binary.BigEndian.PutUint64(hello, 1<<62)
	for begun := time.Now(); time.Since(begun) < joinPatience; {
		_, _ = conn.Write(hello)
		_ = conn.SetReadDeadline(time.Now().Add(joinEvery))
		if _, err := conn.Read(answer); err == nil {
			return conn.SetReadDeadline(time.Time{})
		}
	}
	return fmt.Errorf("no packet to %s was answered within %v", conn.RemoteAddr(), joinPatience)
}

// echoPackets answers each packet with itself until the socket is closed.
func echoPackets(socket net.PacketConn) {
	const longest = 64 << 10
	for packet := make([]byte, longest); ; {
		n, from, err := socket.ReadFrom(packet)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = socket.WriteTo(packet[:n], from) // the network may lose it too
		}
	}
}
