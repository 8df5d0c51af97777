package duty

import "strings"

// Held returns which duties are ours, by name.
func (r *Roster) Held() map[string]bool {
	r.mu.Lock()
	duties := append([]*Duty(nil), r.duties...)
	r.mu.Unlock()
	held := map[string]bool{}
	for _, d := range duties {
		if !strings.HasPrefix(d.name, present) {
			held[d.name] = d.Held()
		}
	}
	return held
}
