"""Learning rules as their papers write them: loops over samples, steps and neurons of small networks, in float64."""

import math


def _lif(v, current, tau, threshold):
    u = [a + (i - a) / tau for a, i in zip(v, current)]
    s = [1.0 if a >= threshold else 0.0 for a in u]
    return u, s, [a - threshold * b for a, b in zip(u, s)]


def _times(weight, x):
    return [sum(w * a for w, a in zip(row, x)) for row in weight]


def _softmax(y):
    total = sum(math.exp(a) for a in y)
    return [math.exp(a) / total for a in y]


def _zeros(rows, columns):
    return [[0.0] * columns for _ in range(rows)]


def online(x, labels, w1, w2, tau, threshold, psi, traced):
    """Gradients of two layers of LIF neurons; ``x [N][T][I]``. SLTT, or OTTT where traces are asked for."""
    g1, g2 = _zeros(len(w1), len(w1[0])), _zeros(len(w2), len(w2[0]))
    leak = 1 - 1 / tau if traced else 0.0
    for sample, label in zip(x, labels):
        v1, v2 = [0.0] * len(w1), [0.0] * len(w2)
        a0, a1 = [0.0] * len(w1[0]), [0.0] * len(w1)
        for row in sample:
            u1, s1, v1 = _lif(v1, _times(w1, row), tau, threshold)
            u2, s2, v2 = _lif(v2, _times(w2, s1), tau, threshold)
            a0 = [leak * a + b for a, b in zip(a0, row)]
            a1 = [leak * a + b for a, b in zip(a1, s1)]
            share = 1 / (len(sample) * len(x))
            wrong = [(p - (k == label)) * share for k, p in enumerate(_softmax(s2))]
            d2 = [e * psi(u - threshold) / tau for e, u in zip(wrong, u2)]
            for j in range(len(w1)):
                d1 = sum(d2[k] * w2[k][j] for k in range(len(w2))) * psi(u1[j] - threshold) / tau
                for i in range(len(row)):
                    g1[j][i] += d1 * a0[i]
                for k in range(len(w2)):
                    g2[k][j] += d2[k] * a1[j]
    return g1, g2


def eprop(x, labels, w_in, w_rec, w_out, b_out, back, tau, threshold, kappa, psi):
    """Gradients of input, recurrent and output weights and of the output bias; ``x [N][T][I]``, ``back [J][K]``."""
    inside, features, classes = len(w_in[0]), len(w_in), len(w_out)
    g_in, g_rec, g_out = _zeros(features, inside), _zeros(features, features), _zeros(classes, features)
    g_bias, alpha = [0.0] * classes, 1 - 1 / tau
    for sample, label in zip(x, labels):
        share = 1 / (len(sample) * len(x))
        v, s, y = [0.0] * features, [0.0] * features, [0.0] * classes
        eps = [0.0] * (inside + features)
        ebar = _zeros(features, inside + features)
        zbar, one = [0.0] * features, 0.0
        for row in sample:
            came = [*row, *s]
            u, s, v = _lif(v, [a + b for a, b in zip(_times(w_in, row), _times(w_rec, s))], tau, threshold)
            eps = [alpha * e + z / tau for e, z in zip(eps, came)]
            zbar, one = [kappa * a + b for a, b in zip(zbar, s)], kappa * one + 1
            y = [kappa * a + (1 - kappa) * (b + c) for a, b, c in zip(y, _times(w_out, s), b_out)]
            wrong = [(p - (k == label)) * share for k, p in enumerate(_softmax(y))]
            for j in range(features):
                signal = (1 - kappa) * sum(back[j][k] * wrong[k] for k in range(classes))
                for i in range(inside + features):
                    ebar[j][i] = kappa * ebar[j][i] + psi(u[j] - threshold) * eps[i]
                    if i < inside:
                        g_in[j][i] += signal * ebar[j][i]
                    else:
                        g_rec[j][i - inside] += signal * ebar[j][i]
                for k in range(classes):
                    g_out[k][j] += (1 - kappa) * wrong[k] * zbar[j]
            for k in range(classes):
                g_bias[k] += (1 - kappa) * wrong[k] * one
    return g_in, g_rec, g_out, g_bias


def pair_change(pre, post, tau_pre, tau_post, plus, minus):
    """Change of one synapse by all pairs of spikes; ``pre [T]``, ``post [T]``."""
    total = 0.0
    for t, fired in enumerate(post):
        for u, came in enumerate(pre):
            if u <= t:
                total += plus * fired * came * (1 - 1 / tau_pre) ** (t - u)
            else:
                total -= minus * fired * came * (1 - 1 / tau_post) ** (u - t)
    return total
