package pipeline

import "bytes"

// printer makes lines of the job's log of what print writes. What is printed
// while the pipeline is evaluated belongs to no job and is dropped.
//
// Lines that were written at once are logged at once: a secret of several lines is
// recognized by all of them.
type printer struct {
	attempt *attempt
	live    bool
	lines   []byte // not yet logged
}

// maxPrinted bounds what is held of a line that does not end, in bytes. The rest
// of it is dropped.
const maxPrinted = 1 << 20

func (p *printer) Write(data []byte) (int, error) {
	if !p.live || p.attempt.clock.cause() != nil {
		return len(data), nil
	}
	rest := data
	if end := bytes.LastIndexByte(data, '\n'); end >= 0 {
		p.lines = append(p.lines, data[:end]...)
		p.log()
		rest = data[end+1:]
	}
	p.lines = append(p.lines, rest[:min(len(rest), maxPrinted-len(p.lines))]...)
	return len(data), nil
}

// flush logs the last line if it has no end. An attempt that was given up has
// nobody left to log for.
func (p *printer) flush() {
	if len(p.lines) > 0 && !p.attempt.clock.abandoned.Load() {
		p.log()
	}
	p.live = false
}

func (p *printer) log() {
	message := string(p.lines)
	p.lines = nil
	p.attempt.clock.pause()
	defer p.attempt.clock.resume()
	p.attempt.host.Log(p.attempt.call, message)
}
