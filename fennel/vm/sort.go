package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// tableSort sorts as lua5.1 does, to the order of equal elements: the same
// quicksort (Sedgewick's, the median of three as pivot, the smaller part
// first), so that a program that leans on it prints the same. It sorts a copy
// and writes that back at the end, also when the comparison raises: a
// comparison that changes the table cannot make the sort read outside it.
func tableSort(L *lua.LState) int {
	t := argTable(L, 1, "sort")
	s := sorter{L: L, v: make([]lua.LValue, t.Len()+1)}
	if L.Get(2) != lua.LNil {
		s.less = argFunction(L, 2, "sort")
	}
	for i := 1; i < len(s.v); i++ {
		s.v[i] = t.RawGetInt(i)
	}
	put := func() {
		for i := 1; i < len(s.v); i++ {
			t.RawSetInt(i, s.v[i])
		}
	}
	defer func() {
		// Only for an error: when a suspended coroutine is unwound, another
		// goroutine may have the table.
		if err := recover(); err != nil {
			put()
			panic(err)
		}
	}()
	s.sort(1, len(s.v)-1)
	put()
	return 0
}

// sorter holds the elements from index 1, as Lua counts.
type sorter struct {
	L        *lua.LState
	v        []lua.LValue
	less     *lua.LFunction
	compared int
}

func (s *sorter) before(a, b lua.LValue) bool {
	if s.compared++; s.compared&0xfff == 0 {
		checkContext(s.L)
	}
	if s.less == nil {
		return s.L.LessThan(a, b)
	}
	s.L.Push(s.less)
	s.L.Push(a)
	s.L.Push(b)
	s.L.Call(2, 1)
	r := lua.LVAsBool(s.L.Get(-1))
	s.L.Pop(1)
	return r
}

// order swaps elements i and j if j comes before i.
func (s *sorter) order(i, j int) bool {
	if s.before(s.v[j], s.v[i]) {
		s.v[i], s.v[j] = s.v[j], s.v[i]
		return true
	}
	return false
}

func (s *sorter) sort(lo, hi int) {
	for lo < hi {
		s.order(lo, hi)
		if hi-lo == 1 {
			return
		}
		mid := (lo + hi) / 2
		if !s.order(lo, mid) {
			s.order(mid, hi)
		}
		if hi-lo == 2 {
			return
		}
		mid = s.partition(lo, hi, mid)
		// The smaller part by recursion, the larger by the loop: the depth stays
		// logarithmic.
		if mid-lo < hi-mid {
			s.sort(lo, mid-1)
			lo = mid + 1
		} else {
			s.sort(mid+1, hi)
			hi = mid - 1
		}
	}
}

// partition puts the pivot at its place and returns that.
func (s *sorter) partition(lo, hi, mid int) int {
	pivot := s.v[mid]
	s.v[mid], s.v[hi-1] = s.v[hi-1], s.v[mid]
	i, j := lo, hi-1
	for {
		for i++; s.before(s.v[i], pivot); i++ {
			if i >= hi {
				raisef(s.L, "invalid order function for sorting")
			}
		}
		for j--; s.before(pivot, s.v[j]); j-- {
			if j <= lo {
				raisef(s.L, "invalid order function for sorting")
			}
		}
		if j < i {
			break
		}
		s.v[i], s.v[j] = s.v[j], s.v[i]
	}
	s.v[hi-1], s.v[i] = s.v[i], s.v[hi-1]
	return i
}
