package gitrepo

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sort"
	"strings"
)

// pack is a pack and its index (gitformat-pack(5)), read in place.
type pack struct {
	idx, data *os.File
	fanout    [256]uint32 // how many objects have ids that begin with a byte up to this
	size      int64       // of the index
}

// An index of version 2: magic and version, the fanout, then for n objects the
// ids, checksums and offsets; offsets above 2 GiB stand in a table behind.
const (
	idxFanout = 8
	idxIDs    = idxFanout + 256*4
	oidBytes  = 20
)

func openPack(idxName string) (_ *pack, err error) {
	p := &pack{}
	if p.idx, err = openFile(idxName); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.data, err = openFile(strings.TrimSuffix(idxName, ".idx") + ".pack"); err != nil {
		return nil, err
	}
	info, err := p.idx.Stat()
	if err != nil {
		return nil, err
	}
	p.size = info.Size()
	var head [idxIDs]byte
	if _, err := p.idx.ReadAt(head[:], 0); err != nil {
		return nil, fmt.Errorf("index of a pack: %w", err)
	}
	if !bytes.Equal(head[:idxFanout], []byte{0xff, 't', 'O', 'c', 0, 0, 0, 2}) {
		return nil, errors.New("index of a pack: not of version 2")
	}
	last := uint32(0)
	for i := range p.fanout {
		n := binary.BigEndian.Uint32(head[idxFanout+4*i:])
		if n < last {
			return nil, errors.New("index of a pack: malformed")
		}
		p.fanout[i], last = n, n
	}
	if p.size < idxIDs+p.count()*(oidBytes+4+4) {
		return nil, errors.New("index of a pack: cut short")
	}
	return p, nil
}

func (p *pack) count() int64 { return int64(p.fanout[255]) }

func (p *pack) close() {
	p.idx.Close()
	if p.data != nil {
		p.data.Close()
	}
}

// offset is where in the pack an object begins.
func (p *pack) offset(id []byte) (at int64, found bool, err error) {
	low := uint32(0)
	if id[0] > 0 {
		low = p.fanout[id[0]-1]
	}
	var here [oidBytes]byte
	n := int(p.fanout[id[0]] - low)
	i := sort.Search(n, func(i int) bool {
		if _, rerr := p.idx.ReadAt(here[:], idxIDs+oidBytes*(int64(low)+int64(i))); rerr != nil {
			err = rerr
			return true
		}
		return bytes.Compare(here[:], id) >= 0
	})
	if err != nil || i == n {
		return 0, false, err
	}
	nth := int64(low) + int64(i)
	if _, err := p.idx.ReadAt(here[:], idxIDs+oidBytes*nth); err != nil || !bytes.Equal(here[:], id) {
		return 0, false, err
	}
	var word [8]byte
	if _, err := p.idx.ReadAt(word[:4], idxIDs+p.count()*(oidBytes+4)+4*nth); err != nil {
		return 0, false, err
	}
	at = int64(binary.BigEndian.Uint32(word[:4]))
	if at&(1<<31) != 0 {
		if _, err := p.idx.ReadAt(word[:], idxIDs+p.count()*(oidBytes+8)+8*(at&^(1<<31))); err != nil {
			return 0, false, err
		}
		at = int64(binary.BigEndian.Uint64(word[:]) & math.MaxInt64)
	}
	return at, true, nil
}

// The types of a pack's entries that are no objects by themselves.
const (
	ofsDelta = 6
	refDelta = 7
)

var packedKinds = map[byte]string{1: "commit", 2: "tree", 3: "blob", 4: "tag"}

// packedEntry is the header of an entry of a pack.
type packedEntry struct {
	kind byte
	size int64 // of what is compressed: the object, or the delta
	data int64 // where that begins
	base int64 // of a delta: where the entry is that it is applied to
}

func (p *pack) entry(at int64) (e packedEntry, err error) {
	var head [64]byte
	n, err := p.data.ReadAt(head[:], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return e, err
	}
	err = nil
	b := head[:n]
	next := func() byte {
		if len(b) == 0 {
			err = errors.New("a pack is cut short")
			return 0
		}
		c := b[0]
		b = b[1:]
		return c
	}
	c := next()
	e.kind, e.size = c>>4&7, int64(c&15)
	for shift := 4; c&0x80 != 0 && err == nil; shift += 7 {
		if shift > 53 {
			return e, errors.New("a pack names an impossible size")
		}
		c = next()
		e.size |= int64(c&0x7f) << shift
	}
	switch e.kind {
	case ofsDelta:
		c = next()
		back := int64(c & 0x7f)
		for c&0x80 != 0 && err == nil {
			if back > math.MaxInt64>>8 {
				return e, errors.New("a pack names an impossible offset")
			}
			c = next()
			back = (back+1)<<7 | int64(c&0x7f)
		}
		if e.base = at - back; back <= 0 || e.base <= 0 {
			return e, errors.New("a pack names an impossible offset")
		}
	case refDelta:
		if len(b) < oidBytes {
			return e, errors.New("a pack is cut short")
		}
		base, found, err := p.offset(b[:oidBytes])
		if err != nil || !found {
			return e, errors.New("a delta's base is elsewhere")
		}
		e.base = base
		b = b[oidBytes:]
	default:
		if packedKinds[e.kind] == "" {
			return e, fmt.Errorf("a pack's entry is of unknown type %d", e.kind)
		}
	}
	e.data = at + int64(n-len(b))
	return e, err
}

// packed reads the object that begins at an offset. Its size is that of the
// first delta's result, by the delta's own header.
func (d *direct) packed(p *pack, oid string, at int64, content bool) (kind string, size int64, data []byte, err error) {
	failed := func(cause error) (string, int64, []byte, error) { return "", 0, nil, unread(cause) }
	var chain []packedEntry // the object first, its base's base last
	for {
		e, err := p.entry(at)
		if err != nil {
			return failed(err)
		}
		if chain = append(chain, e); e.base == 0 {
			break
		}
		if len(chain) > maxChain {
			return failed(errors.New("a delta is long, or a chain of many"))
		}
		at = e.base
	}
	kind = packedKinds[chain[len(chain)-1].kind]
	size = chain[0].size
	if len(chain) > 1 {
		if _, size, err = d.deltaSizes(p, chain[0]); err != nil {
			return failed(err)
		}
	}
	if !content {
		return kind, size, nil, nil
	}
	if err := readable(oid, kind, size); err != nil {
		return kind, size, nil, err
	}
	for i := len(chain) - 1; i >= 0; i-- {
		e := chain[i]
		if e.size > maxDirect {
			return failed(errors.New("a delta is long, or a chain of many"))
		}
		if err := d.inflating(io.NewSectionReader(p.data, e.data, math.MaxInt64-e.data)); err != nil {
			return failed(err)
		}
		part, err := d.inflated(e.size)
		if err != nil {
			return failed(err)
		}
		if e.base == 0 {
			data = part
		} else if data, err = applyDelta(data, part); err != nil {
			return failed(err)
		}
	}
	if int64(len(data)) != size {
		return failed(errors.New("a delta lies about its size"))
	}
	return kind, size, data, nil
}

// deltaSizes reads a delta's header and no more of it: how large what it is
// applied to is, and what it makes.
func (d *direct) deltaSizes(p *pack, e packedEntry) (from, to int64, err error) {
	if err := d.inflating(io.NewSectionReader(p.data, e.data, math.MaxInt64-e.data)); err != nil {
		return 0, 0, err
	}
	var head [20]byte
	n, err := io.ReadFull(d.z, head[:min(int64(len(head)), e.size)])
	if err != nil {
		return 0, 0, err
	}
	from, rest, err := deltaSize(head[:n])
	if err == nil {
		to, _, err = deltaSize(rest)
	}
	return from, to, err
}

// inflating begins to read zlib data.
func (d *direct) inflating(r io.Reader) error {
	if d.z == nil {
		d.in = bufio.NewReader(r)
		z, err := zlib.NewReader(d.in)
		if err != nil {
			return unread(err)
		}
		d.z = z
		return nil
	}
	d.in.Reset(r)
	if err := d.z.(zlib.Resetter).Reset(d.in, nil); err != nil {
		return unread(err)
	}
	return nil
}

// inflated reads what is left of the zlib data, which has to be that many bytes. The
// caller has compared size with a bound.
func (d *direct) inflated(size int64) ([]byte, error) {
	data := make([]byte, size)
	if _, err := io.ReadFull(d.z, data); err != nil {
		return nil, unread(err)
	}
	var more [1]byte
	if n, err := d.z.Read(more[:]); n != 0 || !errors.Is(err, io.EOF) { // at the end its checksum is compared
		return nil, unread(errors.New("an object goes on behind its end"))
	}
	return data, nil
}
