"""Reference solutions of the continuous models by SciPy, restarted at every spike."""

import numpy as np


def spike_times(derivative, start, peak, jump, duration, current):
    """Times at which the first variable reaches ``peak``; ``jump(y)``, if there is one, then replaces the state."""
    from scipy.integrate import solve_ivp

    def reaches(t, y):
        return y[0] - peak

    reaches.terminal, reaches.direction = jump is not None, 1
    times, t, y = [], 0.0, np.asarray(start, dtype=float)
    while t < duration:
        solution = solve_ivp(
            lambda t, y: derivative(y, current),
            (t, duration),
            y,
            events=reaches,
            method="LSODA",
            rtol=1e-10,
            atol=1e-10,
        )
        t, y = solution.t[-1], solution.y[:, -1]
        times += solution.t_events[0].tolist()
        if solution.status == 1:
            y = np.asarray(jump(y), dtype=float)
    return np.array(times)


def trace(derivative, start, times, current):
    """The solution without spikes at the given times, [variables, T]."""
    from scipy.integrate import solve_ivp

    return solve_ivp(
        lambda t, y: derivative(y, current), (0, times[-1]), start, t_eval=times, method="LSODA", rtol=1e-10, atol=1e-10
    ).y


def izhikevich(y, x):
    """Time in ms."""
    v, u = y
    return [0.04 * v * v + 5 * v + 140 - u + x, 0.02 * (0.2 * v - u)]


def adex(y, x):
    """Time in ms, the constants of Brette & Gerstner (2005)."""
    v, w = y
    upstroke = 30 * 2 * np.exp(min(20.0, (v + 50.4) / 2))
    return [(-30 * (v + 70.6) + upstroke - w + x) / 281, (4 * (v + 70.6) - w) / 144]


def hodgkin_huxley(y, x):
    """Time in ms."""
    v, m, h, n = y
    alpha_m = 1.0 if abs(v + 40) < 1e-9 else 0.1 * (v + 40) / (1 - np.exp(-(v + 40) / 10))
    alpha_n = 0.1 if abs(v + 55) < 1e-9 else 0.01 * (v + 55) / (1 - np.exp(-(v + 55) / 10))
    return [
        -120 * m**3 * h * (v - 50) - 36 * n**4 * (v + 77) - 0.3 * (v + 54.387) + x,
        alpha_m * (1 - m) - 4 * np.exp(-(v + 65) / 18) * m,
        0.07 * np.exp(-(v + 65) / 20) * (1 - h) - h / (1 + np.exp(-(v + 35) / 10)),
        alpha_n * (1 - n) - 0.125 * np.exp(-(v + 65) / 80) * n,
    ]
