package plan

import "github.com/devproxy/devproxy/hcl"

// Merge makes one plan of the plans of several folders; nil ones are left out.
// A name that two of them claim is a *ConflictError. An exact name beats a
// wildcard in the merged plan as it does in one: a wildcard of one folder never
// covers a host of another.
func Merge(plans ...*Plan) (*Plan, error) {
	merged := &Plan{table: newTable(nil)}
	var masks []*hcl.Mask
	for _, p := range plans {
		if p == nil {
			continue
		}
		for _, h := range p.hosts {
			for _, n := range h.names {
				if first := merged.table.claimed(n.value); first != nil {
					return nil, &ConflictError{
						Name: n.value, First: first.nameSource(n.value), Second: n.source, FirstFolder: first.Folder,
					}
				}
			}
		}
		// Only now, so that a plan never conflicts with itself: what is written
		// twice in one folder is a diagnostic of that folder.
		for _, h := range p.hosts {
			for _, n := range h.names {
				if merged.table.claimed(n.value) == nil {
					merged.table.claim(n.value, h)
				}
			}
		}
		merged.hosts = append(merged.hosts, p.hosts...)
		merged.shares = append(merged.shares, p.shares...)
		merged.effects = append(merged.effects, p.effects...)
		masks = append(masks, p.mask)
	}
	merged.mask = hcl.NewMask(masks...)
	return merged, nil
}

// nameSource is the line that gives the host one of its names.
func (h *Host) nameSource(value string) Source {
	for _, n := range h.names {
		if n.value == value {
			return n.source
		}
	}
	return h.Source
}
