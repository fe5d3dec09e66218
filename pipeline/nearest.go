package pipeline

import (
	"strings"
	"unicode/utf8"
)

// nearest is the known name that a mistyped one most likely meant, or "" when
// none is close enough to be worth suggesting.
func nearest(name string, known []string) string {
	const longest = 64 // a longer "name" is not a typing error, and the table is quadratic
	if len(name) > longest {
		return ""
	}
	best, bestDistance := "", 1+max(1, (utf8.RuneCountInString(name)+1)/3)
	for _, k := range known {
		if len(k) > longest || k == name {
			continue
		}
		if d := typingDistance(strings.ToLower(name), strings.ToLower(k)); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// typingDistance is the number of letters to insert, delete, replace, or swap
// with their neighbour to make one word of the other (optimal string alignment).
func typingDistance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, row := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		next := make([]int, len(y)+1)
		next[0] = i
		for j := 1; j <= len(y); j++ {
			differ := 1
			if x[i-1] == y[j-1] {
				differ = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+differ)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(y)]
}
