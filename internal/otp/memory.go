package otp

import "slices"

// MaxUsed bounds a memory: more than a day of sales, one in ten seconds.
const MaxUsed = 10_000

// A Memory is which codes a device has let through. Its zero value is empty.
type Memory struct {
	Used []Mark `json:"used"`
}

// Use remembers a code, and reports false if it was let through before. A memory
// that is full forgets the oldest step: Forget keeps it from that.
func (m *Memory) Use(mark Mark) bool {
	if slices.Contains(m.Used, mark) {
		return false
	}
	if len(m.Used) >= MaxUsed {
		oldest := 0
		for i, u := range m.Used {
			if u.Step < m.Used[oldest].Step {
				oldest = i
			}
		}
		m.Used = slices.Delete(m.Used, oldest, oldest+1)
	}
	m.Used = append(m.Used, mark)
	return true
}

// Forget forgets codes that are of a step before one, and so refused anyway.
func (m *Memory) Forget(before int64) {
	m.Used = slices.DeleteFunc(m.Used, func(u Mark) bool { return u.Step < before })
}
