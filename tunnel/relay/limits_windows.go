package relay

// descriptors returns the default: Windows has no such limit.
func descriptors() int { return noDescriptorLimit }
