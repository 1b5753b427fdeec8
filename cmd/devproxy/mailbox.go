package main

// mailbox keeps the newest value for a reader who may be busy.
type mailbox[T any] struct{ c chan T }

func newMailbox[T any]() mailbox[T] { return mailbox[T]{make(chan T, 1)} }

// put replaces what was not read yet. It never blocks.
func (m mailbox[T]) put(value T) {
	for {
		select {
		case m.c <- value:
			return
		default:
		}
		select {
		case <-m.c:
		default:
		}
	}
}
