package plan

import "strconv"

func (u *Upstream) String() string { return u.Text }
func (f *Files) String() string    { return "files " + f.Text }
func (r *Redirect) String() string { return "redirect " + r.Target }
func (r *Respond) String() string  { return "respond " + strconv.Itoa(r.Status) }

func (*Upstream) answer() {}
func (*Files) answer()    {}
func (*Redirect) answer() {}
func (*Respond) answer()  {}
