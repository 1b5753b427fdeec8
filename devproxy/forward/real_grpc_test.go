package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

// Metadata passes both ways, in head and trailers, binary included.
func TestRealGRPCUnaryAndMetadata(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		const binary = "\x00\xff,\n\x80"
		ctx := metadata.AppendToOutgoingContext(t.Context(), "ask", "one", "ask", "two", "ask-bin", binary)
		var head, tail metadata.MD
		got, err := call(ctx, conn, "Say", "hello", grpc.Header(&head), grpc.Trailer(&tail))
		if err != nil || got != "hello" {
			t.Fatalf("got %q %v", got, err)
		}
		for name, md := range map[string]metadata.MD{"head": head, "tail": tail} {
			if !slices.Equal(md[name], []string{"one|two"}) || !slices.Equal(md[name+"-bin"], []string{binary}) {
				t.Errorf("the %s is %v", name, md)
			}
		}
	})
}

func TestRealGRPCStatusesAndDetails(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		for code := codes.Canceled; code <= codes.Unauthenticated; code++ {
			var tail metadata.MD
			_, err := call(metadata.AppendToOutgoingContext(t.Context(), "ask", "x"), conn, "Say", fmt.Sprintf("fail %d", code), grpc.Trailer(&tail))
			got := grpcstatus.Convert(err)
			if got.Code() != code || got.Message() != "100 % «naïve»" || !slices.Equal(tail["tail"], []string{"x"}) {
				t.Errorf("%v arrived as %v, %q, %v", code, got.Code(), got.Message(), tail)
			}
			details := got.Details()
			if len(details) != 1 {
				t.Fatalf("%v: the details are %v", code, details)
			}
			if info, ok := details[0].(*errdetails.ErrorInfo); !ok || info.Reason != "WHY" {
				t.Errorf("%v: the details are %v", code, details)
			}
		}
		if _, err := call(t.Context(), conn, "Missing", ""); grpcstatus.Code(err) != codes.Unimplemented {
			t.Errorf("a method that is not there: %v", err)
		}
	})
}

func TestRealGRPCStreamsOfOneSide(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		join := open(t.Context(), t, conn, "Join")
		for _, text := range []string{"a", "", "c"} {
			say(t, join, text)
		}
		if err := join.CloseSend(); err != nil {
			t.Fatal(err)
		}
		hear(t, join, "a,,c")
		heardEnd(t, join)

		count := open(t.Context(), t, conn, "Count")
		say(t, count, "xyz")
		if err := count.CloseSend(); err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"x", "y", "z"} {
			hear(t, count, text)
		}
		heardEnd(t, count)
		if got := count.Trailer()["counted"]; !slices.Equal(got, []string{"3"}) {
			t.Errorf("the trailers are %v", count.Trailer())
		}
	})
}

func heardEnd(t *testing.T, stream grpc.ClientStream) {
	t.Helper()
	if text, err := receive(stream); !errors.Is(err, io.EOF) {
		t.Errorf("after the last message came %q %v", text, err)
	}
}

// Each message is answered before the next is sent: nothing on the way waits
// for more.
func TestRealGRPCTalksBothWays(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		talk := open(t.Context(), t, conn, "Talk")
		for i := range 20 {
			text := strings.Repeat(fmt.Sprint(i), i+1)
			say(t, talk, text)
			hear(t, talk, "re: "+text)
		}
		if err := talk.CloseSend(); err != nil {
			t.Fatal(err)
		}
		heardEnd(t, talk)

		// The server ends it while the client has not: answered early.
		talk = open(t.Context(), t, conn, "Talk")
		say(t, talk, "fail")
		if _, err := receive(talk); grpcstatus.Code(err) != codes.Aborted || grpcstatus.Convert(err).Message() != "asked to" {
			t.Errorf("an early end arrives as %v", err)
		}
	})
}

func TestRealGRPCLargeMessages(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		// The most a gRPC server takes unless it is told otherwise, with the
		// message's own few bytes.
		large := strings.Repeat("0123456789abcdef", (4<<20-16)/16)
		if got, err := call(t.Context(), conn, "Say", large, grpc.MaxCallRecvMsgSize(8<<20)); err != nil || got != large {
			t.Errorf("%d bytes came back of %d, %v", len(got), len(large), err)
		}
	})
}

// A hundred streams are open at once, each with its own messages.
func TestRealGRPCManyStreams(t *testing.T) {
	overGRPC(t, func(t *testing.T, conn *grpc.ClientConn, _ *echo) {
		const streams = 100
		var all, everyone sync.WaitGroup
		everyone.Add(streams)
		for i := range streams {
			all.Go(func() {
				failed := talkThrough(t.Context(), conn, fmt.Sprint(i), &everyone)
				if failed != nil {
					t.Errorf("stream %d: %v", i, failed)
				}
			})
		}
		all.Wait()
	})
}

// talkThrough exchanges a message, waits until everyone has, and exchanges some more.
func talkThrough(ctx context.Context, conn *grpc.ClientConn, name string, everyone *sync.WaitGroup) error {
	first := sync.OnceFunc(everyone.Done)
	defer first()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Echo/Talk")
	if err != nil {
		return err
	}
	for i := range 5 {
		if err := exchanged(stream, fmt.Sprintf("%s %d", name, i)); err != nil {
			return err
		}
		if first(); i == 0 {
			everyone.Wait()
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := receive(stream); !errors.Is(err, io.EOF) {
		return fmt.Errorf("the end is %w", err)
	}
	return nil
}
