"""One step of every family on plain floats, as its paper writes it: ``step(x, state, p) -> emitted``.

``state`` is a dict that the step changes; ``p`` a namespace of constants. Nothing here is shared with the package.
"""

import math
from types import SimpleNamespace


def run(step, inputs, state, **constants):
    """Emissions and the final state of one neuron."""
    state = dict(state)
    emitted = [step(x, state, SimpleNamespace(**constants)) for x in inputs]
    return emitted, state


def plif(x, z, p):
    k = 1 / p.tau
    u = z["v"] + k * (x - z["v"]) if p.scale_input else (1 - k) * z["v"] + x
    s = float(u >= p.threshold)
    z["v"] = u - p.threshold * s
    return s


def klif(x, z, p):
    f = max(0.0, p.k * (z["v"] + (x - z["v"]) / p.tau))
    s = float(f >= p.threshold)
    f = 0.0 if s else f
    z["v"] = f / p.k if p.scale_reset else f
    return s


def glif(x, z, p):
    d = 1 - p.alpha * (1 - p.decay)
    u = d * z["u"] - (1 - p.alpha) * p.linear_decay + x * (1 - p.beta * (1 - p.conductance))
    if z["s"]:
        u -= d * z["u"] * p.gamma + (1 - p.gamma) * p.subtrahend
    z["u"], z["s"] = u, float(u >= p.threshold)
    return z["s"]


def cuba_lif(x, z, p):
    z["i"] = p.alpha * z["i"] + x
    u = p.beta * z["v"] + z["i"]
    s = float(u >= p.threshold)
    z["v"] = u - p.threshold * s
    return s


def cuba_li(x, z, p):
    z["i"] = p.alpha * z["i"] + x
    z["v"] = p.beta * z["v"] + z["i"]
    return z["v"]


def alif(x, z, p):
    decay, forget = math.exp(-1 / p.tau), math.exp(-1 / p.tau_adapt)
    u = decay * z["v"] + (1 - decay) * x
    bound = p.threshold + p.beta * z["a"]
    s = float(u >= bound)
    z["v"] = u - bound * s
    z["a"] = forget * z["a"] + (1 - forget) * s
    return s


def adlif(x, z, p):
    u = p.alpha * z["v"] + (1 - p.alpha) * (x - z["w"])
    s = float(u >= p.threshold)
    z["w"] = p.beta * z["w"] + p.a * u + p.b * s
    z["v"] = u - p.threshold * s
    return s


def eif(x, z, p):
    h = p.dt / p.substeps
    count = 0.0
    for _ in range(p.substeps):
        upstroke = p.slope * math.exp(min(20.0, (z["v"] - p.v_threshold) / p.slope))
        z["v"] += h / p.tau * (-(z["v"] - p.v_rest) + upstroke + x)
        if z["v"] >= p.v_peak:
            z["v"] = p.v_reset
            count += 1
    return count


def qif(x, z, p):
    z["v"] += p.dt / p.tau * (p.curvature * (z["v"] - p.v_rest) * (z["v"] - p.v_critical) + x)
    if z["v"] < p.v_peak:
        return 0.0
    z["v"] = p.v_reset
    return 1.0


def adex(x, z, p):
    h = p.dt / p.substeps
    count = 0.0
    for _ in range(p.substeps):
        v, w = z["v"], z["w"]
        upstroke = p.conductance * p.slope * math.exp(min(20.0, (v - p.v_threshold) / p.slope))
        z["v"] = v + 1000 * h / p.capacitance * (-p.conductance * (v - p.v_rest) + upstroke - w + x)
        z["w"] = w + h / p.tau_w * (p.a * (v - p.v_rest) - w)
        if z["v"] >= p.v_peak:
            z["v"], z["w"] = p.v_reset, z["w"] + p.b
            count += 1
    return count


def izhikevich(x, z, p):
    ms = 1000 * p.dt
    z["v"] += ms * (0.04 * z["v"] ** 2 + p.linear * z["v"] + p.constant - z["u"] + x)
    z["u"] += ms * p.a * (p.b * (z["v"] - p.u_from) - p.u_leak * z["u"])
    if z["v"] < 30:
        return 0.0
    z["v"], z["u"] = p.c, z["u"] + p.d
    return 1.0


def fitzhugh_nagumo(x, z, p):
    v, w = z["v"], z["w"]
    z["v"] = v + p.dt * (v - v**3 / 3 - w + x)
    z["w"] = w + p.dt * (v + p.a - p.b * w) / p.tau
    return float(v < p.threshold <= z["v"])


def hodgkin_huxley(x, z, p):
    """Exponential Euler in each variable; the two removable singularities by L'Hopital."""
    ms = 1000 * p.dt / p.substeps
    count = 0.0
    for _ in range(p.substeps):
        v = z["v"]
        rates = {
            "m": (1.0 if v == -40 else 0.1 * (v + 40) / (1 - math.exp(-(v + 40) / 10)), 4 * math.exp(-(v + 65) / 18)),
            "h": (0.07 * math.exp(-(v + 65) / 20), 1 / (1 + math.exp(-(v + 35) / 10))),
            "n": (
                0.1 if v == -55 else 0.01 * (v + 55) / (1 - math.exp(-(v + 55) / 10)),
                0.125 * math.exp(-(v + 65) / 80),
            ),
        }
        for y, (opening, closing) in rates.items():
            steady = opening / (opening + closing)
            z[y] = steady + (z[y] - steady) * math.exp(-ms * (opening + closing))
        na, k, leak = 120 * z["m"] ** 3 * z["h"], 36 * z["n"] ** 4, 0.3
        total = na + k + leak
        steady = (50 * na - 77 * k - 54.387 * leak + x) / total
        z["v"] = steady + (v - steady) * math.exp(-ms * total)
        count += float(v < 0 <= z["v"])
    return count


def brf(x, z, p):
    b = (-1 + math.sqrt(1 - (p.dt * p.omega) ** 2)) / p.dt - p.b_offset - z["q"]
    turned = complex(z["u"], z["v"]) * (1 + p.dt * complex(b, p.omega)) + p.dt * x
    s = float(turned.real - p.threshold - z["q"] >= 0)
    z["u"], z["v"], z["q"] = turned.real, turned.imag, 0.9 * z["q"] + s
    return s


def bhrf(x, z, p):
    b = p.dt * p.omega**2 / 2 + p.b_offset + z["q"]
    z["v"] += p.dt * z["u"]
    z["u"] += p.dt * (x - 2 * b * z["u"] - p.omega**2 * z["v"])
    s = float(z["u"] >= p.threshold + z["q"])
    z["q"] = 0.9 * z["q"] + s
    return s


def ilif(x, z, p):
    u = (1 - 1 / p.tau) * z["v"] + x
    s = float(round(min(max(u / p.threshold, 0), p.levels)))
    z["v"] = u - p.threshold * s
    return s


def burst(x, z, p):
    u = z["v"] + x
    s = 0.0
    while s < p.burst and u >= p.threshold:
        u -= p.threshold
        s += 1
    z["v"] = u
    return s


def multi_threshold(x, z, p):
    u = z["v"] + x
    rungs = [2.0**-i for i in range(p.levels)]
    s = next((r for r in rungs if abs(u) >= 0.75 * r * p.threshold), 0.0)
    s = math.copysign(s, u) if s else 0.0
    s = max(s, 0.0) if not p.signed else s
    z["v"] = u - p.threshold * s
    return s


def signed_if(x, z, p):
    u = z["v"] + x
    if u >= p.threshold:
        z["v"] = u - p.threshold
        return 1.0
    if u <= -p.negative:
        z["v"] = u + p.negative
        return -1.0
    z["v"] = u
    return 0.0


def st_bif(x, z, p):
    """In the notation of the paper, whose potential starts at half a threshold."""
    potential = z["v"] + 0.5 * p.threshold + x
    s = 0.0
    if potential >= p.threshold and z["tracer"] < p.high:
        s = 1.0
    elif potential < 0 and z["tracer"] > p.low:
        s = -1.0
    z["v"] = potential - p.threshold * s - 0.5 * p.threshold
    z["tracer"] += s
    return s


def tally(x, z, p):
    potential = z["v"] + x
    s = math.floor(potential / p.threshold + 0.5)
    s = min(s, p.burst, p.high - z["tally"])
    s = max(s, -p.burst, p.low - z["tally"])
    z["v"] = potential - p.threshold * s
    z["tally"] += s
    return float(s)


def differential(x, z, p):
    """A neuron that is told rates, and tells rates: what comes and goes in a step is the rate held and its change."""
    z["t"] += 1
    u = z["v"] + (z["given"] + x) - z["sent"]
    s = 0.0
    for k in reversed(range(p.rungs)):
        rung = p.threshold * 2.0**k
        if u >= 0.75 * rung:
            s = 2.0**k
        elif -u >= 0.75 * rung and z["t"] * z["sent"] > 0.999 * rung:
            s = -(2.0**k)
        if s:
            break
    z["v"] = u - p.threshold * s
    z["given"] += x / z["t"]
    z["sent"] += p.threshold * s / z["t"]
    return s


def staircase(x, z, p):
    bound = p.threshold + p.slope * z["t"]
    if z["t"] < len(p.offsets):
        bound += p.offsets[int(z["t"])]
    z["v"] = p.keep * z["v"] + x
    z["t"] += 1
    return float(z["v"] >= bound) - float(-z["v"] >= bound)


def sigma_delta(x, z, p):
    z["sigma"] = z["sigma"] + x if p.accumulate else x
    wanted = max(0.0, z["sigma"]) if p.rectify else z["sigma"]
    most = 2**p.bits - 1
    change = p.threshold * min(max(round((wanted - z["sent"]) / p.threshold), -most), most)
    z["sent"] += change
    return change


def synaptic(x, z, p):
    """snnTorch's: the reset of a spike acts in the next step."""
    z["i"] = p.alpha * z["i"] + x
    reset = z["v"] > p.threshold
    z["v"] = p.beta * z["v"] + z["i"] - (p.threshold if reset else 0)
    return float(z["v"] > p.threshold)


def _carried(u, s, reset, zero, p):
    """The potential after a step of snnTorch's with reset_delay=False: reset at once, but not twice."""
    if s == reset:
        return u
    if zero:
        return 0.0 if s else 2 * u
    return u - p.threshold if s else u + p.threshold


def leaky(x, z, p):
    reset = z["v"] > p.threshold
    u = p.beta * z["v"] + x - (p.threshold if reset else 0.0)
    s = u > p.threshold
    z["v"] = _carried(u, s, reset, False, p) if p.settle else u
    return float(s)


def leaky_zero(x, z, p):
    reset = z["v"] > p.threshold
    u = (0.0 if reset else p.beta * z["v"]) + x
    s = u > p.threshold
    z["v"] = _carried(u, s, reset, True, p) if p.settle else u
    return float(s)


def rleaky(x, z, p):
    reset = z["v"] > p.threshold
    u = p.beta * z["v"] + x + p.feedback * z["last"] - (p.threshold if reset else 0.0)
    s = u > p.threshold
    z["v"] = _carried(u, s, reset, False, p) if p.settle else u
    z["last"] = float(s)
    return z["last"]


def synaptic_settled(x, z, p):
    z["i"] = p.alpha * z["i"] + x
    reset = z["v"] > p.threshold
    u = p.beta * z["v"] + z["i"] - (p.threshold if reset else 0)
    s = u > p.threshold
    z["v"] = _carried(u, s, reset, False, p)
    return float(s)


def rsynaptic(x, z, p):
    z["i"] = p.alpha * z["i"] + x + p.feedback * z["last"]
    z["v"] = 0.0 if z["v"] > p.threshold else p.beta * z["v"] + z["i"]
    z["last"] = float(z["v"] > p.threshold)
    return z["last"]


def alpha(x, z, p):
    reset = z["v"] > p.threshold
    z["exc"], z["inh"] = p.alpha * z["exc"] + x, p.beta * z["inh"] - x
    z["v"] = (math.log(p.alpha) / (math.log(p.beta) - math.log(p.alpha)) + 1) * (z["exc"] + z["inh"])
    if reset:
        z["exc"] = z["inh"] = z["v"] = 0.0
    return float(z["v"] > p.threshold)


def lapicque(x, z, p):
    reset = z["v"] > p.threshold
    z["v"] = x * p.dt / p.capacitance + (1 - p.dt / (p.resistance * p.capacitance)) * z["v"]
    z["v"] -= p.threshold if reset else 0.0
    return float(z["v"] > p.threshold)


def escape(x, z, p):
    """Its random number comes in beside the input."""
    x, chance = x
    u = z["v"] + (x - z["v"]) / p.tau
    s = float(chance <= 1 - math.exp(-p.rate * math.exp(min(20.0, (u - p.threshold) / p.noise))))
    z["v"] = u - p.threshold * s
    return s
