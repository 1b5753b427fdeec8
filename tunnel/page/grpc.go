package page

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// grpcType is the media type of gRPC over HTTP/2.
const grpcType = "application/grpc"

// maxGRPCMessage bounds the message in bytes before it is encoded, which may
// triple it: clients silently give up on a header of more than 8 KiB.
const maxGRPCMessage = 1 << 10

// The gRPC status codes (google.golang.org/grpc/codes) that HTTP statuses map to.
const (
	grpcUnknown          = 2
	grpcPermissionDenied = 7
	grpcUnimplemented    = 12
	grpcInternal         = 13
	grpcUnavailable      = 14
	grpcUnauthenticated  = 16
)

// IsGRPC reports whether r is a call of a gRPC client, to which any page is
// a broken server: it reads a status from trailers and nothing else. gRPC-web
// and Connect read the HTTP status.
func IsGRPC(r *http.Request) bool {
	if r.Method != http.MethodPost || r.ProtoMajor < 2 {
		return false
	}
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	rest, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(mediaType)), grpcType)
	return ok && (rest == "" || rest[0] == '+')
}

// WriteGRPC answers a gRPC call with the gRPC status that an HTTP status maps to
// and a message for people, of which at most 1 KiB is sent. The response is
// "Trailers-Only" (gRPC over HTTP/2, section Responses): the trailers are in the
// header, with status 200, and no body follows. Header fields set on w stay,
// except those that described the content it would have had.
func WriteGRPC(w http.ResponseWriter, status int, message string) {
	header := w.Header()
	for _, name := range slices.Concat(contentFields, []string{"Content-Length", "Trailer", "Grpc-Status-Details-Bin"}) {
		header.Del(name)
	}
	header.Set("Content-Type", grpcType)
	header.Set("Cache-Control", "no-store")
	header.Set("Grpc-Status", strconv.Itoa(grpcStatus(status)))
	header.Set("Grpc-Message", percentEncoded(shortened(visible(message))))
	w.WriteHeader(http.StatusOK)
}

// grpcStatus maps an HTTP status as clients would, by the gRPC project's table
// "HTTP to gRPC Status Code Mapping".
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
	var out strings.Builder
	for _, c := range []byte(text) {
		if c >= ' ' && c <= '~' && c != '%' {
			out.WriteByte(c)
		} else {
			fmt.Fprintf(&out, "%%%02X", c)
		}
	}
	return out.String()
}
