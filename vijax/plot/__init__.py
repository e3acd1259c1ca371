"""Pure functions from arrays to matplotlib figures; nothing is shown or saved here.

Every figure is drawn on `style.figure`, so that all share one look: 3.4 inches a
column, labelled axes with units, the Okabe-Ito colours (safe for colour-blind
readers) and `viridis` for densities, `RdBu_r` for signed quantities around zero.
"""

from vijax.extras import require

require("matplotlib", extra="plot", purpose="vijax.plot")
