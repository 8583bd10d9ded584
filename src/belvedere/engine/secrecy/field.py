"""Arithmetic modulo a 31-bit prime: exact, no tolerance, products fit 64 bits.

A run is wrong only if the prime divides a minor of the system; primes are drawn from the release's seed
and audits repeat with independent ones, so that an error has odds below 1e-12.
"""

import numpy as np
from numba import njit


def _is_prime(number: int) -> bool:
    if number % 2 == 0:
        return number == 2
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd //= 2
        twos += 1
    for base in (2, 3, 5, 7):  # deterministic below 3 215 031 751
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True


def draw_prime(seed: int, rank: int = 0) -> int:
    """A prime between 2^30 and 2^31, the same for the same seed and rank."""
    rng = np.random.default_rng([seed, 31, rank])
    while True:
        number = int(rng.integers(2**30, 2**31)) | 1
        if _is_prime(number):
            return number


@njit(cache=True)
def inverse(value, prime):
    """value^(prime-2) modulo prime."""
    result, power, exponent = 1, value % prime, prime - 2
    while exponent > 0:
        if exponent & 1:
            result = result * power % prime
        power = power * power % prime
        exponent >>= 1
    return result
