"""Every formula that the app shows, in one table: as LaTeX, which becomes MathML, and in words, for who listens.

    Panel(about=("Where a token looks.", Formula("attention"), "Source: …", "It does not show …"), …)

Browsers draw MathML themselves, in the colour of the text around it, and screen readers read it. Knows how a formula
looks; what is computed stands elsewhere, and tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Final

from dash.development.base_component import Component

from dashapp.errors import nearest_first
from dashapp.panels.fixed import Fixed


@dataclass(frozen=True, slots=True)
class Notation:
    """lines: of LaTeX, each fit for a telephone. words: the formula as one would say it. source: where it is from."""

    title: str
    lines: tuple[str, ...]
    words: str
    source: str


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula of the table, to stand among the paragraphs of a text. Raises: ValueError for one that is not there."""

    name: str

    def __post_init__(self) -> None:
        if self.name not in FORMULAS:
            raise ValueError(f"{self.name!r} is no formula. Known, nearest first: {nearest_first(self.name, FORMULAS)}")

    def html(self) -> str:
        """The formula as HTML."""
        return f'<div class="formula">{markup(self.name)}</div>'

    def drawn(self) -> Component:
        """The formula as a component."""
        return Fixed(html=self.html())


FORMULAS: Final[dict[str, Notation]] = {
    "next-token": Notation(
        "One token after another",
        (r"p(x_1, \dots, x_n) = \prod_{i=1}^{n} p(x_i \mid x_{<i})",),
        "the probability of a text is the product, over its tokens, of the probability of each given those before it",
        "Radford et al. 2019, equation 1",
    ),
    "embeddings": Notation(
        "Embeddings",
        (r"r_i^{(0)} = \text{wte}[x_i] + \text{wpe}[i]",),
        "the residual stream at position i starts as row x i of w t e, plus row i of w p e",
        "Radford et al. 2018, equation 2",
    ),
    "layer-norm": Notation(
        "LayerNorm",
        (
            r"\text{LN}(r) = \gamma \odot \frac{r - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta",
            r"\mu = \frac{1}{d} \sum_{j=1}^{d} r_j",
            r"\sigma^2 = \frac{1}{d} \sum_{j=1}^{d} (r_j - \mu)^2",
        ),
        "LayerNorm of r is gamma times, component by component, r minus its mean, over the square root of its variance "
        "plus epsilon, plus beta; mean and variance are over the d components of r",
        "Ba, Kiros & Hinton 2016, equations 3 and 4",
    ),
    "attention": Notation(
        "Attention of one head",
        (
            r"Q = X W_Q + b_Q , \quad K = X W_K + b_K",
            r"V = X W_V + b_V",
            r"A = \text{softmax}\left( \frac{Q K^{\top}}{\sqrt{d_{\text{head}}}} + M \right)",
            r"Z = A V",
            r"M_{ij} = 0 \;\text{ for }\; j \leq i",
            r"M_{ij} = -\infty \;\text{ for }\; j > i",
        ),
        "queries Q, keys K and values V are X times a matrix plus a bias each; the pattern A is the softmax, row by "
        "row, of Q times K transposed over the square root of d head, plus the mask M, which is minus infinity where "
        "the key is later than the query; Z is A times V",
        "Vaswani et al. 2017, equation 1",
    ),
    "multi-head": Notation(
        "Attention of all heads",
        (
            r"\text{Attn}(X) = [Z_1, \dots, Z_H] \, W_O + b_O",
            r"= \sum_{h=1}^{H} Z_h W_O^{h} + b_O , \quad H = n_{\text{head}}",
        ),
        "attention of X is what all heads bring, side by side, times W O, plus b O; that is the sum over the heads of "
        "Z h times W O of h, plus b O",
        "Vaswani et al. 2017, section 3.2.2; the sum as in Elhage et al. 2021",
    ),
    "residual": Notation(
        "The residual stream",
        (
            r"r^{\text{mid}} = r + \text{Attn}(\text{LN}_1(r))",
            r"r^{\text{post}} = r^{\text{mid}} + \text{MLP}(\text{LN}_2(r^{\text{mid}}))",
        ),
        "the stream after attention is the stream plus attention of its LayerNorm; the stream after the layer is that "
        "plus the MLP of its LayerNorm",
        "Radford et al. 2019, section 2.3; Elhage et al. 2021",
    ),
    "mlp": Notation(
        "MLP",
        (
            r"a = \text{GELU}(x W_{\text{in}} + b_{\text{in}})",
            r"\text{MLP}(x) = a W_{\text{out}} + b_{\text{out}}",
        ),
        "the activations a are GELU of x times W in plus b in; the MLP of x is a times W out, plus b out",
        "Vaswani et al. 2017, equation 2, with GELU for ReLU",
    ),
    "gelu": Notation(
        "GELU, exact",
        (r"\text{GELU}(x) = x \, \Phi(x) = \frac{x}{2} \left( 1 + \text{erf}\,\frac{x}{\sqrt{2}} \right)",),
        "GELU of x is x times capital phi of x, the normal distribution: x over 2 times 1 plus the error function of x "
        "over the square root of 2",
        "Hendrycks & Gimpel 2016, section 2",
    ),
    "gelu-tanh": Notation(
        "GELU as GPT-2 computes it",
        (
            r"\text{GELU}(x) = \frac{x}{2} (1 + \tanh u)",
            r"u = \sqrt{2 / \pi} \, (x + 0.044715 \, x^3)",
        ),
        "GELU of x is x over 2, times 1 plus the hyperbolic tangent of u, where u is the square root of 2 over pi, "
        "times x plus 0.044715 x cubed",
        "Hendrycks & Gimpel 2016, section 2",
    ),
    "unembedding": Notation(
        "Unembedding",
        (r"z_i = \text{LN}_{\text{f}}\left( r_i^{(n_{\text{layer}})} \right) \, \text{wte}^{\top}",),
        "the logits at position i are the final LayerNorm of the residual stream after all layers, times w t e "
        "transposed",
        "Radford et al. 2018, equation 2; tied as in Press & Wolf 2017",
    ),
    "temperature": Notation(
        "Softmax with temperature",
        (r"p_T(v) = \frac{\exp(z_v / T)}{\sum_{w} \exp(z_w / T)}",),
        "the probability of token v is the exponential of its logit over T, divided by the sum of the same over all "
        "tokens; T equal to 1 gives the model's own probabilities",
        "Ackley, Hinton & Sejnowski 1985; Hinton et al. 2015, equation 1",
    ),
    "continuation": Notation(
        "Log-probability of a continuation",
        (r"\ell = \sum_{i=m+1}^{n} \log p(x_i \mid x_{<i})",),
        "l, the logarithm of the probability of tokens m plus 1 to n given those before, is the sum over them of the "
        "logarithm of each one's probability given all before it",
        "Shannon 1948, section 3; the chain rule",
    ),
    "surprisal": Notation(
        "Surprisal",
        (r"s_i = -\log_2 p(x_i \mid x_{<i})",),
        "the surprisal of token i is minus the logarithm to base 2 of its probability given those before it, in bits",
        "Shannon 1948, section 6",
    ),
    "perplexity": Notation(
        "Perplexity",
        (r"\text{PPL} = \exp\left( -\frac{1}{n} \sum_{i=1}^{n} \ln\, p(x_i \mid x_{<i}) \right)",),
        "perplexity is the exponential of the mean, over the tokens, of minus the natural logarithm of their "
        "probability",
        "Jelinek et al. 1977",
    ),
    "entropy": Notation(
        "Entropy",
        (r"H(p) = -\sum_{v} p(v) \, \ln\, p(v)",),
        "the entropy of p is minus the sum over all tokens of p times its natural logarithm, in nats",
        "Shannon 1948, section 6",
    ),
    "attention-entropy": Notation(
        "Entropy of a row of attention",
        (r"H_i = -\sum_{j \leq i} A_{ij} \ln\, A_{ij}", r"0 \leq H_i \leq \ln(i + 1)"),
        "the entropy of row i is minus the sum over its keys of the weight times its natural logarithm; it is at "
        "least 0 and at most the logarithm of i plus 1",
        "Vig & Belinkov 2019",
    ),
    "attention-distance": Notation(
        "Mean attention distance",
        (r"D_i = \sum_{j \leq i} A_{ij} \, (i - j)",),
        "the mean distance of row i is the sum over its keys of the weight times i minus j, in tokens",
        "Vig & Belinkov 2019",
    ),
    "head-score": Notation(
        "Head score on a prompt",
        (r"s = \frac{\sum_{i,j} A_{ij} P_{ij}}{\sum_{i,j} A_{ij}}", r"P_{ij} \in \{0, 1\}"),
        "the score is the sum of the attention on expected pairs over the sum of all attention; P i j is 1 where a "
        "head of the kind would look, and else 0",
        "Nanda & Bloom 2022, TransformerLens, head detector",
    ),
    "value-norm": Notation(
        "Attention weighted by value lengths",
        (
            r"N_{ij} = \frac{A_{ij} \left\| f(x_j) \right\|}{\sum_{k \leq i} A_{ik} \left\| f(x_k) \right\|}",
            r"f(x) = (x W_V + b_V) \, W_O",
        ),
        "N i j is the weight A i j times the length of f of x j, over the sum of the same along the row; f of x is x "
        "times W V plus b V, times W O",
        "Kobayashi et al. 2020, equation 3",
    ),
    "rollout": Notation(
        "Attention rollout",
        (
            r"B_l = \frac{1}{2} \bar{A}_l + \frac{1}{2} I",
            r"R_l = B_l \, R_{l-1} , \quad R_0 = I",
        ),
        "B of a layer is half the mean pattern of its heads plus half the identity; R of a layer is B of it times R "
        "of the layer below; R zero is the identity",
        "Abnar & Zuidema 2020, section 3",
    ),
    "flow": Notation(
        "Attention flow",
        (r"F_{ij} = \text{maxflow}\left( (L, i) \rightarrow (0, j) \right)",),
        "F i j is the maximum flow from token i above the last layer to token j below the first, through edges with "
        "the capacities B",
        "Abnar & Zuidema 2020, section 3",
    ),
    "match": Notation(
        "Why a query looks at a key",
        (r"s_{ij} = \sum_{d} \frac{q_{i,d} \, k_{j,d}}{\sqrt{d_{\text{head}}}}",),
        "the score of query i and key j is the sum over the dimensions d of the head of q i d times k j d over the "
        "square root of d head",
        "Vaswani et al. 2017, equation 1",
    ),
    "ov": Notation(
        "What a head would write for one key",
        (
            r"w_j = (V_j - b_V) \, W_O^{h}",
            r"z_j = \left( \gamma \odot \frac{w_j - \mu(w_j)}{\sigma_i} \right) \text{wte}^{\top}",
        ),
        "w j is the value of key j without its bias, times W O of the head; the logits z j are gamma times w j minus "
        "its mean over sigma i, times w t e transposed",
        "Elhage et al. 2021",
    ),
    "copying": Notation(
        "Copying score",
        (r"c = \frac{\sum_{k} \lambda_k}{\sum_{k} \left| \lambda_k \right|}", r"\lambda = \text{eig}(W_E W_V W_O W_U)"),
        "the copying score is the sum of the eigenvalues over the sum of their absolute values, of the embedding times "
        "W V times W O times the unembedding",
        "Elhage et al. 2021, section on eigenvalues",
    ),
    "norm": Notation(
        "Length of a vector",
        (r"\left\| r \right\| = \sqrt{\sum_{j=1}^{d} r_j^2}",),
        "the length of r is the square root of the sum of its squared components",
        "the L2 norm",
    ),
    "write-share": Notation(
        "Share of what a part wrote",
        (r"s_c = \frac{w_c \cdot r}{\left\| r \right\|^2} , \quad r = \sum_{c} w_c , \quad \sum_{c} s_c = 1",),
        "the share of part c is the dot product of what it wrote, w c, with the stream r, over the squared length of "
        "r; r is the sum of all w, and the shares sum to 1",
        "the projection of a summand on its sum; Elhage et al. 2021 on the sum",
    ),
    "dimension-share": Notation(
        "Share of a dimension",
        (r"s_j = \frac{r_j^2}{\left\| r \right\|^2} , \quad \sum_{j=1}^{d} s_j = 1",),
        "the share of dimension j is its squared value over the squared length of r; the shares of all sum to 1",
        "the definition of the L2 norm",
    ),
    "neuron-write": Notation(
        "How far a neuron moves the stream",
        (r"\left\| a_n \, W_{\text{out}}[n] \right\| = \left| a_n \right| \cdot \left\| W_{\text{out}}[n] \right\|",),
        "what neuron n writes has the length of its activation's absolute value times the length of its row of W out",
        "Geva et al. 2021",
    ),
    "cosine": Notation(
        "Cosine similarity",
        (r"\cos(a, b) = \frac{a \cdot b}{\left\| a \right\| \left\| b \right\|}",),
        "the cosine of a and b is their dot product, divided by the product of their lengths",
        "Salton, Wong & Yang 1975",
    ),
    "distance": Notation(
        "Relative distance",
        (r"d(r, s) = \frac{2 \left\| r - s \right\|}{\left\| r \right\| + \left\| s \right\|}",),
        "the relative distance of r and s is twice the length of their difference over the sum of their lengths",
        "the L2 norm, over the mean length of the two",
    ),
    "pca": Notation(
        "Principal components",
        (
            r"X - \bar{X} = U S V^{\top} , \quad Y = (X - \bar{X}) \, V_{1 \dots k}",
            r"\text{share of component } c = \frac{s_c^2}{\sum_{j} s_j^2}",
        ),
        "X minus its mean row is U S V transposed; the coordinates Y are the same times the first k columns of V; the "
        "share of the variance along component c is its squared singular value over the sum of all",
        "Pearson 1901; by singular values as in Jolliffe 2002",
    ),
    "sum-parts": Notation(
        "Squared length of a sum",
        (r"\left\| t + p \right\|^2 = \left\| t \right\|^2 + \left\| p \right\|^2 + 2 \, t \cdot p",),
        "the squared length of t plus p is that of t, plus that of p, plus twice their dot product",
        "the law of cosines",
    ),
    "cka": Notation(
        "Linear CKA, unbiased",
        (
            r"\text{CKA}(X, Y) = \frac{\text{HSIC}(K, L)}{\sqrt{\text{HSIC}(K, K) \, \text{HSIC}(L, L)}}",
            r"\text{HSIC}(K, L) = \frac{1}{n (n - 3)} \sum_{i \neq j} \tilde{K}_{ij} \, \tilde{L}_{ij}",
            r"\tilde{K}_{ij} = K_{ij} - \frac{k_i + k_j}{n - 2} + \frac{\sum_{m} k_m}{(n - 1) (n - 2)}",
            r"K = X X^{\top} , \quad k_i = \sum_{m \neq i} K_{im}",
        ),
        "CKA of X and Y is HSIC of K and L over the square root of HSIC of K and K times HSIC of L and L; HSIC is the "
        "sum over pairs of different tokens of K tilde times L tilde, over n times n minus 3; K tilde of i and j is K "
        "of i and j, minus k i plus k j over n minus 2, plus the sum of all k over n minus 1 times n minus 2; K is X "
        "times X transposed, and k i the sum of row i without its diagonal; L is the same of Y",
        "Kornblith et al. 2019; estimator of Song et al. 2012, equation 5, as in Székely & Rizzo 2014",
    ),
    "umap": Notation(
        "UMAP",
        (
            r"w_{j \mid i} = \exp\left( -\frac{\max(0, \, d(x_i, x_j) - \rho_i)}{\sigma_i} \right)",
            r"w_{ij} = w_{j \mid i} + w_{i \mid j} - w_{j \mid i} \, w_{i \mid j}",
            r"q_{ij} = \frac{1}{1 + a \left\| y_i - y_j \right\|^{2b}}",
            r"\min_{y} \sum_{i < j} w_{ij} \, \ln\, \frac{w_{ij}}{q_{ij}} + w'_{ij} \, \ln\, \frac{w'_{ij}}{q'_{ij}}",
            r"w'_{ij} = 1 - w_{ij} , \quad q'_{ij} = 1 - q_{ij}",
        ),
        "how near j is to i falls off with their distance beyond the nearest neighbour's; the two directions are "
        "joined into w; on the map, nearness q falls off with the distance of the points; the points are placed so "
        "that the cross-entropy of w and q is least",
        "McInnes, Healy & Melville 2018, section 3",
    ),
    "logit-lens": Notation(
        "Logit lens",
        (r"z = \left( \gamma \odot \frac{r - \mu}{\sigma} + \beta \right) \, \text{wte}^{\top}",),
        "the logits z are the final LayerNorm of the state r, gamma times r minus its mean over the spread sigma plus "
        "beta, times w t e transposed",
        "nostalgebraist 2020",
    ),
    "attribution": Notation(
        "Direct logit attribution",
        (
            r"D_c = \frac{x_c - \mu(x_c)}{\sigma} \cdot \left( \gamma \odot (\text{wte}[a] - \text{wte}[b]) \right)",
            r"z_a - z_b = \sum_{c} D_c + \beta \cdot (\text{wte}[a] - \text{wte}[b])",
        ),
        "part c adds D c: what it wrote, minus its mean, over sigma, dot gamma times the difference of the embeddings "
        "of a and b; the logit of a minus that of b is the sum over all parts, plus beta dot that difference",
        "Elhage et al. 2021",
    ),
    "head-write": Notation(
        "What a head writes",
        (r"x_h = \left( \sum_{j \leq i} A_{ij} \, V_j - b_V \right) W_O^{h}",),
        "head h writes the values V j, averaged by its pattern A, minus their bias b V, times W O of h",
        "Elhage et al. 2021",
    ),
    "kl": Notation(
        "Kullback–Leibler divergence",
        (r"\text{KL}(p \,\|\, q) = \sum_{v} p(v) \, \ln\, \frac{p(v)}{q(v)}",),
        "the divergence of q from p is the sum over all tokens of p times the natural logarithm of p over q, in nats",
        "Kullback & Leibler 1951",
    ),
    "js": Notation(
        "Jensen–Shannon divergence",
        (
            r"\text{JS}(p, q) = \frac{1}{2} \, \text{KL}(p \,\|\, m) + \frac{1}{2} \, \text{KL}(q \,\|\, m)",
            r"m = \frac{1}{2} (p + q) , \quad 0 \leq \text{JS} \leq \ln\, 2",
        ),
        "the divergence of p and q is half the divergence of m from p, plus half that of m from q, where m is their "
        "mean; it is between 0 and the logarithm of 2",
        "Lin 1991",
    ),
    "patching": Notation(
        "Effect of a patch",
        (r"m = \frac{M_{\text{patched}} - M_{\text{target}}}{M_{\text{source}} - M_{\text{target}}}",),
        "the effect m is the metric of the patched run minus that of the target run, over the metric of the source run "
        "minus that of the target run",
        "Wang et al. 2022, section 3; Zhang & Nanda 2024, section 2",
    ),
    "parity": Notation(
        "Parity",
        (r"\max_{j} \left| a_j - b_j \right| \leq \tau \, \max_{j} \left| b_j \right|",),
        "the largest absolute difference of two results is at most tau times the largest absolute value",
        "docs/numerics.md",
    ),
}


@cache
def markup(name: str) -> str:
    """A formula of the table as MathML, a `<math>` for each of its lines; the first says all of it in words."""
    from latex2mathml.converter import convert  # 0.1 s, not while the app starts

    first, *others = [
        convert(line, display="block").replace('display="block"', 'displaystyle="true"')
        for line in FORMULAS[name].lines
    ]
    spoken = first.replace("<math", f'<math aria-label="{escape(FORMULAS[name].words)}"', 1)
    silent = [line.replace("<math", '<math aria-hidden="true"', 1) for line in others]
    return "".join(f"<div>{line}</div>" for line in (spoken, *silent))
