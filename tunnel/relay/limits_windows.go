package relay

// descriptors: Windows has no such limit.
func descriptors() int { return noDescriptorLimit }
