package relay

import "sync"

// blockSize is the buffer of one direction of an exchange: two frames of a
// session.
const blockSize = 32 << 10

type block [blockSize]byte

// blocks is never written after it is made; the pool guards itself.
var blocks = sync.Pool{New: func() any { return new(block) }}

func newBlock() *block   { return blocks.Get().(*block) }
func freeBlock(b *block) { blocks.Put(b) }
