package page

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// grpcType is the media type of gRPC over HTTP/2.
const grpcType = "application/grpc"

// maxGRPCMessage bounds the message in bytes before it is encoded, which may
// triple it: clients silently give up on a header of more than 8 KiB.
const maxGRPCMessage = 1 << 10

// grpcStatuses maps HTTP statuses to gRPC status codes (google.golang.org/grpc/codes)
// as clients would, by the gRPC project's table "HTTP to gRPC Status Code Mapping".
// All others are grpcUnknown.
var grpcStatuses = map[int]string{
	http.StatusBadRequest:         "13", // INTERNAL
	http.StatusUnauthorized:       "16", // UNAUTHENTICATED
	http.StatusForbidden:          "7",  // PERMISSION_DENIED
	http.StatusNotFound:           "12", // UNIMPLEMENTED
	http.StatusTooManyRequests:    "14", // UNAVAILABLE
	http.StatusBadGateway:         "14",
	http.StatusServiceUnavailable: "14",
	http.StatusGatewayTimeout:     "14",
}

const grpcUnknown = "2"

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
	header.Set("Grpc-Status", cmp.Or(grpcStatuses[status], grpcUnknown))
	header.Set("Grpc-Message", percentEncoded(shortened(visible(message))))
	w.WriteHeader(http.StatusOK)
}

// shortened is text, which is UTF-8, up to the last whole character that fits.
func shortened(text string) string {
	return strings.ToValidUTF8(text[:min(len(text), maxGRPCMessage)], "")
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
