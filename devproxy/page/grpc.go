package page

import (
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"
)

// grpcType is the media type of gRPC over HTTP/2.
const grpcType = "application/grpc"

// maxGRPCMessage bounds the message in bytes before it is encoded, which may
// treble it: clients give up on a head of more than 8 KiB, and say nothing of it.
const maxGRPCMessage = 1 << 10

// Codes of gRPC's statuses (google.golang.org/grpc/codes) that an HTTP status
// can stand for.
const (
	grpcUnknown          = 2
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// IsGRPC reports whether r is a call of a gRPC client, which takes any page for
// a broken server: it reads a status from trailers and nothing else. gRPC-web
// and Connect read the HTTP status and need no help.
func IsGRPC(r *http.Request) bool {
	if r.Method != http.MethodPost || r.ProtoMajor < 2 {
		return false
	}
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(mediaType)), grpcType)
	return ok && (rest == "" || rest[0] == '+')
}

// WriteGRPC answers a gRPC call with the gRPC status that an HTTP status stands
// for and a message for people, of which no more than 1 KiB is sent. It is
// "Trailers-Only" (gRPC over HTTP/2, section Responses): the trailers are the
// head, with status 200, and no body follows. Headers that are set on w stay,
// but for those that described the content it would have had.
func WriteGRPC(w http.ResponseWriter, status int, message string) {
	header := w.Header()
	for _, name := range []string{"Content-Encoding", "Content-Length", "Content-Range", "Accept-Ranges", "Etag", "Last-Modified", "Trailer", "Grpc-Status-Details-Bin"} {
		header.Del(name)
	}
	header.Set("Content-Type", grpcType)
	header.Set("Cache-Control", "no-store")
	header.Set("Grpc-Status", strconv.Itoa(grpcStatus(status)))
	header.Set("Grpc-Message", percentEncoded(shortened(visible(message))))
	w.WriteHeader(http.StatusOK)
}

// grpcStatus is what a client would make of an HTTP status by itself, as the
// table "HTTP to gRPC Status Code Mapping" of the gRPC project has it.
func grpcStatus(httpStatus int) int {
	switch httpStatus {
	case http.StatusBadRequest:
		return grpcInternal
	case http.StatusUnauthorized:
		return grpcUnauthenticated
	case http.StatusForbidden:
		return grpcPermissionDenied
	case http.StatusNotFound:
		return grpcUnimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return grpcUnavailable
	}
	return grpcUnknown
}

// shortened is text up to the last whole character that fits.
func shortened(text string) string {
	if len(text) <= maxGRPCMessage {
		return text
	}
	end := maxGRPCMessage
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// percentEncoded is the Percent-Encoded of gRPC over HTTP/2: every byte that is
// not printable ASCII, and the percent sign, as "%" and two capital hex digits.
func percentEncoded(text string) string {
	const digits = "0123456789ABCDEF"
	out := make([]byte, 0, len(text))
	for i := range len(text) {
		if c := text[i]; c >= ' ' && c <= '~' && c != '%' {
			out = append(out, c)
		} else {
			out = append(out, '%', digits[c>>4], digits[c&15])
		}
	}
	return string(out)
}
