package page

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func TestIsGRPC(t *testing.T) {
	for _, test := range []struct {
		method, contentType string
		major               int
		want                bool
	}{
		{"POST", "application/grpc", 2, true},
		{"POST", "application/grpc+proto", 2, true},
		{"POST", "Application/gRPC+json; charset=utf-8", 2, true},
		{"POST", "application/grpc-web", 2, false},
		{"POST", "application/grpc-web-text+proto", 2, false},
		{"POST", "application/grpcx", 2, false},
		{"POST", "application/proto", 2, false},
		{"POST", "", 2, false},
		{"POST", "application/grpc", 1, false},
		{"GET", "application/grpc", 2, false},
		{"OPTIONS", "application/grpc", 2, false},
	} {
		r := httptest.NewRequest(test.method, "/a.B/C", nil)
		r.ProtoMajor = test.major
		r.Header.Set("Content-Type", test.contentType)
		if got := IsGRPC(r); got != test.want {
			t.Errorf("%s %q over HTTP/%d: %v", test.method, test.contentType, test.major, got)
		}
	}
}

// grpcAnswer is what a real client makes of WriteGRPC.
func grpcAnswer(t *testing.T, httpStatus int, message string) *status.Status {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !IsGRPC(r) {
			t.Errorf("not taken for gRPC: %s %s %v", r.Proto, r.Method, r.Header)
		}
		// Left from an answer that was begun and given up.
		w.Header().Set("Content-Length", "99")
		w.Header().Set("Content-Encoding", "gzip")
		w.Header().Set("Trailer", "Grpc-Status")
		WriteGRPC(w, httpStatus, message)
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	defer srv.Close()
	conn, err := grpc.NewClient("passthrough:///"+srv.Listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	unary := conn.Invoke(t.Context(), "/a.B/C", &emptypb.Empty{}, &emptypb.Empty{})
	stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, "/a.B/C")
	if err != nil {
		t.Fatal(err)
	}
	streamed := stream.RecvMsg(&emptypb.Empty{})
	if errors.Is(streamed, io.EOF) || status.Convert(streamed).String() != status.Convert(unary).String() {
		t.Errorf("a stream ends with %v, a call with %v", streamed, unary)
	}
	return status.Convert(unary)
}

func TestWriteGRPCReachesAClient(t *testing.T) {
	for _, message := range []string{
		"", "Nothing is listening on port 50051 yet.", "100 % of «naïve» 例え", "a\r\nGrpc-Status: 0",
	} {
		got := grpcAnswer(t, http.StatusServiceUnavailable, message)
		want := strings.NewReplacer("\r", "\uFFFD", "\n", "\uFFFD").Replace(message)
		if got.Code() != codes.Unavailable || got.Message() != want {
			t.Errorf("%q arrived as %v %q", message, got.Code(), got.Message())
		}
	}
}

func TestGRPCStatuses(t *testing.T) {
	for httpStatus, want := range map[int]codes.Code{
		400: codes.Internal, 401: codes.Unauthenticated, 403: codes.PermissionDenied, 404: codes.Unimplemented,
		405: codes.Unknown, 413: codes.Unknown, 429: codes.Unavailable, 500: codes.Unknown,
		502: codes.Unavailable, 503: codes.Unavailable, 504: codes.Unavailable, 508: codes.Unknown,
	} {
		if got := grpcAnswer(t, httpStatus, "x"); got.Code() != want {
			t.Errorf("%d is %v, want %v", httpStatus, got.Code(), want)
		}
	}
}

// A message of any length arrives, cut at a character.
func TestALongGRPCMessageIsCut(t *testing.T) {
	long := "x" + strings.Repeat("é", 1<<20)
	got := grpcAnswer(t, http.StatusBadGateway, long)
	if got.Code() != codes.Unavailable || len(got.Message()) < maxGRPCMessage-utf8.UTFMax || len(got.Message()) > maxGRPCMessage ||
		!strings.HasPrefix(long, got.Message()) || !utf8.ValidString(got.Message()) {
		t.Errorf("%v, a message of %d bytes", got.Code(), len(got.Message()))
	}
}
