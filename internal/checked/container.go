package checked

import (
	"errors"
	"strings"
)

// Image is the name of a container image. Its zero value is none.
type Image struct{ name string }

const maxImage = 512 // bytes; a registry's host, a path of 255, and a digest of 71 fit

// NewImage checks the characters and the length of an image's name, as
// HOST:PORT/PATH:TAG@DIGEST; the engine knows the finer rules.
func NewImage(s string) (Image, error) {
	if err := Line(s, maxImage); err != nil {
		return Image{}, err
	}
	if !letterOrDigit(s[0]) && s[0] != '[' {
		return Image{}, errors.New("it starts with none of a letter, a digit and the '[' of an IPv6 address")
	}
	if strings.TrimFunc(s, func(r rune) bool { return r < 0x80 && (letterOrDigit(byte(r)) || strings.ContainsRune("._-/:@[]+", r)) }) != "" {
		return Image{}, errors.New("it holds a character that no image's name has")
	}
	return Image{s}, nil
}

func (i Image) String() string { return i.name }

// Host is the name of a service: a host name in the run's network, and part of
// its container's name.
type Host struct{ name string }

const maxHost = 63 // bytes of a label (RFC 1123, 2.1)

// NewHost checks the name of a service.
func NewHost(s string) (Host, error) {
	if err := Line(s, maxHost); err != nil {
		return Host{}, err
	}
	for i := range len(s) {
		if !letterOrDigit(s[i]) && (i == 0 || !strings.ContainsRune("-_.", rune(s[i]))) {
			return Host{}, errors.New("it is no host name: letters and digits, and after the first '-', '_' and '.'")
		}
	}
	if strings.EqualFold(s, "localhost") {
		return Host{}, errors.New("every container has that name for itself")
	}
	return Host{s}, nil
}

func (h Host) String() string { return h.name }

func letterOrDigit(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
