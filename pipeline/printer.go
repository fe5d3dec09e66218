package pipeline

import "bytes"

// printer makes lines of the job's log of what print writes. What is printed
// while the pipeline is evaluated belongs to no job and is dropped.
type printer struct {
	attempt *attempt
	live    bool
	line    []byte
}

// maxPrintLine is where a line without end is cut.
const maxPrintLine = 64 << 10

func (p *printer) Write(data []byte) (int, error) {
	if !p.live || p.attempt.clock.cause() != nil {
		return len(data), nil
	}
	for rest := data; len(rest) > 0; {
		line, after, ended := bytes.Cut(rest, []byte("\n"))
		if room := maxPrintLine - len(p.line); len(line) > room {
			line, after, ended = line[:room], rest[room:], true
		}
		p.line = append(p.line, line...)
		rest = after
		if ended {
			p.log()
		}
	}
	return len(data), nil
}

// flush logs the last line if it has no end. An attempt that was given up has
// nobody left to log for.
func (p *printer) flush() {
	if len(p.line) > 0 && !p.attempt.clock.abandoned.Load() {
		p.log()
	}
	p.live = false
}

func (p *printer) log() {
	line := string(p.line)
	p.line = p.line[:0]
	p.attempt.clock.pause()
	defer p.attempt.clock.resume()
	p.attempt.host.Log(p.attempt.call, line)
}
