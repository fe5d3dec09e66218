package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time as a config file writes it: Go's notation
// ("90s", "1h30m"), whole days ("90d") beside it, or 0 for none.
type Duration time.Duration

// D is the value as the time package has it.
func (d Duration) D() time.Duration { return time.Duration(d) }

func (d Duration) String() string { return time.Duration(d).String() }

// UnmarshalTOML reads a string, or the integer 0.
func (d *Duration) UnmarshalTOML(v any) error {
	if n, ok := v.(int64); ok && n == 0 {
		*d = 0
		return nil
	}
	s, ok := v.(string)
	if !ok {
		return fmt.Errorf("want a duration such as \"10m\", not %v", v)
	}
	p, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(p)
	return nil
}

// ParseDuration is time.ParseDuration with whole days ("90d") and without
// negative values.
func ParseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no duration: want a number and a unit, such as \"90s\", \"10m\", \"24h\" or \"90d\"", s)
	}
	return d, nil
}

// Size is a number of bytes: an integer, or a string with a unit. K, M, G, T are
// powers of 1024, as KiB, MiB, GiB, TiB are; KB, MB, GB, TB of 1000. Capitals do
// not count.
type Size int64

// UnmarshalTOML reads an integer or a string.
func (z *Size) UnmarshalTOML(v any) error {
	switch v := v.(type) {
	case int64:
		if v >= 0 {
			*z = Size(v)
			return nil
		}
	case string:
		n, err := ParseSize(v)
		*z = Size(n)
		return err
	}
	return fmt.Errorf("want a size such as \"64MiB\" or a number of bytes, not %v", v)
}

var units = []struct {
	suffix string
	bytes  float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}, {"t", 1 << 40}, {"b", 1}, {"", 1},
}

// ParseSize reads a size as a config file's string has it.
func ParseSize(s string) (int64, error) {
	for _, u := range units {
		num, ok := strings.CutSuffix(strings.ToLower(strings.TrimSpace(s)), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(num), 64)
		if err != nil || !(n >= 0 && n*u.bytes < 1<<62) {
			break
		}
		return int64(n * u.bytes), nil
	}
	return 0, fmt.Errorf("%q is no size: want a number and a unit, such as \"64MiB\", \"4GB\" or \"4G\"", s)
}
