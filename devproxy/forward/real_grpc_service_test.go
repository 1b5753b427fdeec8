package forward

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
)

// echo is a gRPC service whose messages are strings, written without generated
// code. What the zero value leaves nil is never asked for.
type echo struct {
	// started gets a value for every call of Wait and Watch, ended the end of its context.
	started chan bool
	ended   chan error
	// deadline gets, from Wait, how long the caller has.
	deadline chan time.Duration
}

type echoServer interface{}

var echoService = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*echoServer)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Say", Handler: unary((*echo).say)},
		{MethodName: "Wait", Handler: unary((*echo).wait)},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Join", Handler: streaming((*echo).join), ClientStreams: true},
		{StreamName: "Count", Handler: streaming((*echo).count), ServerStreams: true},
		{StreamName: "Talk", Handler: streaming((*echo).talk), ClientStreams: true, ServerStreams: true},
		{StreamName: "Watch", Handler: streaming((*echo).watch), ServerStreams: true},
	},
}

func unary(call func(*echo, context.Context, string) (string, error)) grpc.MethodHandler {
	return func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
		in := new(wrapperspb.StringValue)
		if err := decode(in); err != nil {
			return nil, err
		}
		out, err := call(srv.(*echo), ctx, in.Value)
		return wrapperspb.String(out), err
	}
}

func streaming(call func(*echo, grpc.ServerStream) error) grpc.StreamHandler {
	return func(srv any, stream grpc.ServerStream) error { return call(srv.(*echo), stream) }
}

// say answers with the message, with the caller's metadata in head and
// trailers. "fail CODE" fails, with details.
func (*echo) say(ctx context.Context, text string) (string, error) {
	in, _ := metadata.FromIncomingContext(ctx)
	_ = grpc.SetHeader(ctx, metadata.Pairs("head", strings.Join(in["ask"], "|"), "head-bin", strings.Join(in["ask-bin"], "")))
	_ = grpc.SetTrailer(ctx, metadata.Pairs("tail", strings.Join(in["ask"], "|"), "tail-bin", strings.Join(in["ask-bin"], "")))
	var code codes.Code
	if n, _ := fmt.Sscanf(text, "fail %d", &code); n == 0 {
		return text, nil
	}
	failed, err := grpcstatus.New(code, "100 % «naïve»").WithDetails(&errdetails.ErrorInfo{Reason: "WHY", Domain: "test"})
	if err != nil {
		return "", err
	}
	return "", failed.Err()
}

// wait answers never.
func (e *echo) wait(ctx context.Context, _ string) (string, error) {
	if end, ok := ctx.Deadline(); ok && e.deadline != nil {
		e.deadline <- time.Until(end)
	}
	return "", e.untilDone(ctx)
}

func (e *echo) untilDone(ctx context.Context) error {
	e.started <- true
	<-ctx.Done()
	e.ended <- ctx.Err()
	return grpcstatus.FromContextError(ctx.Err()).Err()
}

// watch sends one message, and then nothing until its caller leaves.
func (e *echo) watch(stream grpc.ServerStream) error {
	if err := stream.SendMsg(wrapperspb.String("first")); err != nil {
		return err
	}
	return e.untilDone(stream.Context())
}

// join answers with all messages in one.
func (*echo) join(stream grpc.ServerStream) error {
	var all []string
	for {
		text, err := receive(stream)
		if errors.Is(err, io.EOF) {
			return stream.SendMsg(wrapperspb.String(strings.Join(all, ",")))
		}
		if err != nil {
			return err
		}
		all = append(all, text)
	}
}

// count sends each character of the message separately.
func (*echo) count(stream grpc.ServerStream) error {
	text, err := receive(stream)
	if err != nil {
		return err
	}
	for _, c := range text {
		if err := stream.SendMsg(wrapperspb.String(string(c))); err != nil {
			return err
		}
	}
	stream.SetTrailer(metadata.Pairs("counted", fmt.Sprint(len(text))))
	return nil
}

// talk answers each message before it reads the next. "fail" ends it.
func (*echo) talk(stream grpc.ServerStream) error {
	for {
		text, err := receive(stream)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text == "fail" {
			return grpcstatus.Error(codes.Aborted, "asked to")
		}
		if err := stream.SendMsg(wrapperspb.String("re: " + text)); err != nil {
			return err
		}
	}
}

// receiver is either end of a stream.
type receiver interface{ RecvMsg(m any) error }

func receive(from receiver) (string, error) {
	in := new(wrapperspb.StringValue)
	err := from.RecvMsg(in)
	return in.Value, err
}

// call is one unary call.
func call(ctx context.Context, conn *grpc.ClientConn, method, text string, opts ...grpc.CallOption) (string, error) {
	out := new(wrapperspb.StringValue)
	err := conn.Invoke(ctx, "/test.Echo/"+method, wrapperspb.String(text), out, opts...)
	return out.Value, err
}

// open begins a stream.
func open(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/test.Echo/"+method)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func say(t *testing.T, stream grpc.ClientStream, text string) {
	t.Helper()
	if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
		t.Fatalf("sending %q: %v", text, err)
	}
}

func hear(t *testing.T, stream grpc.ClientStream, want string) {
	t.Helper()
	if got, err := receive(stream); err != nil || got != want {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

// serveGRPC serves e on ln until the test ends.
func serveGRPC(t *testing.T, ln net.Listener, e *echo, opts ...grpc.ServerOption) *grpc.Server {
	t.Helper()
	srv := grpc.NewServer(opts...)
	srv.RegisterService(&echoService, e)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Errorf("the gRPC server ended with %v", err)
		}
	})
	return srv
}

// exchanged sends a message to Talk and reads its answer.
func exchanged(stream grpc.ClientStream, text string) error {
	if err := stream.SendMsg(wrapperspb.String(text)); err != nil {
		return err
	}
	if got, err := receive(stream); err != nil || got != "re: "+text {
		return fmt.Errorf("%q is answered with %q: %w", text, got, err)
	}
	return nil
}
