package harness

import "slices"

// Median is the middle of values, the mean of the two in the middle of an even
// number, and 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Quantile is of sorted values; 0 of none.
func Quantile[T any](sorted []T, q float64) (value T) {
	if len(sorted) > 0 {
		value = sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
	}
	return value
}
