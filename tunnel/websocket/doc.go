// Package websocket reads and writes WebSocket frames (RFC 6455) in the bytes of an upgraded
// connection. It does no handshake: it follows frame boundaries, ends a direction with a
// close frame, and filters the messages of a client.
package websocket
