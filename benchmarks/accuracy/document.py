# SPDX-License-Identifier: Apache-2.0
"""The accuracy document: figures, method and machine."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.accuracy import flight as flights
from benchmarks.accuracy.bound import expected_quantile, expected_rms
from benchmarks.accuracy.figures import FOUND, median
from benchmarks.accuracy.report import (
    FORERUNNER,
    METHOD_COLUMNS,
    OURS,
    PAD_COLUMNS,
    SORTED,
    SORTED_LENS,
    TOGETHER,
    WANTED,
    Report,
    errors_of,
    exact_rows,
    markdown_table,
    method_rows,
    pad_rows,
    rendered_rows,
)

_TEXT = """# Accuracy

Written by `python -m benchmarks.accuracy --write docs/accuracy.md`; do not edit. The distance of
the targets on the map from the pads on the ground: for our stages, for the forerunner's method
with the same detections and odometry, and for the best possible estimate.

## Figures

{flights} simulated flights over {pads} pads, {sightings:.0f} sightings each, the sensors with
their usual errors. Distances on the ground:

{methods}

*Found*: a target within {found:g} m of the pad; if there is none, the distance to the nearest
one counts. *False*: targets with no pad within {found:g} m. *Without the common shift*: of the
pads found, which are not the same for all methods, minus their common offset in that flight (the
median of the offsets, east and north). *Expected*: according to the covariance; the rows before it
are what these estimates achieved on these flights.

Accuracy relative to the forerunner; at least {wanted:g} times was the goal:

{ratios}

Pad by pad; the normalised squared error is that of our stated covariance, per axis:

{by_pad}

If the stated covariance is right, the normalised squared error is 1 on average. Over {flights}
flights that of a pad lies between {pad_low:.2f} and {pad_high:.2f} (chi-square, 95%): it does for
{honest} of {pads}. Over all it is {told:.2f}; an honest one lies between {low:.2f} and {high:.2f},
since the pads of one flight share their errors, and count as {axes:.1f} independent axes rather
than as {all_axes}.

The same flights with exact sensors, which leaves the errors of the method alone:

{exact}

## Conclusions

- With the usual errors half of our targets are within {ours:.2f} m, half of the forerunner's
  within {theirs:.2f} m. The drift of the GPS position and of the attitude is in both. The best
  possible is {alone:.2f} m from each pad's own sightings, and {together:.2f} m from all of them
  together: so by the median no method can be more than {most:.1f} times as accurate as the
  forerunner.
- Where both have found a pad, we are {both:.2f} times as accurate: only the sensors' errors show
  there.
- The difference in flight is made by clustering. The forerunner has a target for {their_found} of
  {all} pads, and {their_false} false ones; we have {our_found}, and {our_false}. It uses no labels,
  and its mixture takes two pads for one: with exact sensors too, and with our locations too.
- The value of a better location shows with exact sensors: half of our targets are within
  {ours_exact:.1f} mm. The means of the forerunner's points, with the assignment given, are within
  {sorted_exact:.0f} mm, and within {lens_exact:.0f} mm with the distortion removed; the rest is due
  to the nearest odometry and the middle of the box. Among errors of a metre none of this is
  visible.
- What could still be gained: our filters know each pad alone, which is {alone_rms:.2f} m rms at
  best; all pads together reach {together_rms:.2f} m, and without the common shift half are within
  {together_unshared:.2f} m instead of {ours_unshared:.2f} m.

## Machine

{machine}

## Method

**Flights.** `SimulatedFlight` and `NoisyFlight` of the seeds {first} to {last}, with the default
`SensorNoise()`: the position drifts by {gps:g} m (east, north) with a correlation time of
{gps_time:g} s, roll and pitch by {attitude:g} rad and yaw by {yaw:g} rad with one of
{attitude_time:g} s, and each also has a small independent error. Odometry {odometry_least:.0f} to
{odometry_most:.0f} times a second, at irregular times, with correct stamps. data_merge waits for
odometry after an image, up to its `max_wait`: delays below that do not matter, and here all of it
is available, also to the forerunner. A frame every {period:g} s, with the correct stamp; camera,
lens and parameters of config/airside.yaml. The camera is mounted exactly as the parameters say, and
the ground is exactly flat: in the air both add errors, for every method.

**Detections.** Flight {first} is also rendered, every {rendered_period:g} s: {frames} frames,
blurred by 1 pixel and with noise of 5 grey levels. The detectors of config/airside.yaml found
{finds} of {visible} pads that were completely in a frame, and {false} false ones, with an error of
{marker:.2f} pixels (markers) and {disc:.2f} (discs), u and v each. So in the other flights all
pads that are completely in a frame are projected, with that noise. The results agree:

{rendered}

**worker_pipeline.** The stages data_merge, geolocation and cluster_estimation themselves, one
after the other in one process. A target is assigned to a pad by its label. cluster_estimation's
`correlated_share` and `correlation_time` in config/airside.yaml were chosen by the normalised
squared errors of the flights 1 to 40; `--first 41` measures others.

**The forerunner** (`benchmarks/accuracy/forerunner.py`). The nearest odometry, no distortion, flat
ground, the middle of the box, a Bayesian mixture of all points. A pad's target is the nearest one,
even if that is nearest to another pad too, which is generous.

**The best** (`benchmarks/accuracy/bound.py`). The joint covariance of all sightings of a flight,
from the simulation's own error model, to first order; from that the best linear unbiased estimate
(generalised least squares), whose covariance is the Cramer-Rao bound for Gaussian errors. It knows
the model with its parameters, and the assignment of the sightings, but nothing of where pads may
be. It uses the pose of each image as data_merge computes it, and neither velocities nor how a
vehicle can move.
"""


def render(report: Report, about: Mapping[str, str]) -> str:
    """Return the whole document."""
    errors, exact = report.errors(), errors_of(report.exact)
    ours, theirs = errors[OURS], errors[FORERUNNER]
    told, (low, high) = report.honesty()
    of_pads, (pad_low, pad_high) = report.pad_honesty()
    alone, together = (report.covariances(each) for each in (False, True))
    best_together = expected_quantile(together, 0.5)
    noise = report.flown[0].flight.noise
    shown = report.rendered
    return _TEXT.format(
        flights=len(report.flown),
        first=report.flown[0].flight.seed,
        last=report.flown[-1].flight.seed,
        pads=len(of_pads),
        sightings=sum(len(each.seen) for each in report.flown) / len(report.flown),
        methods=markdown_table(METHOD_COLUMNS, method_rows(report)),
        found=FOUND,
        wanted=WANTED,
        ratios=_ratios(report),
        by_pad=markdown_table(PAD_COLUMNS, pad_rows(report)),
        pad_low=pad_low,
        pad_high=pad_high,
        honest=sum(pad_low <= each <= pad_high for each in of_pads),
        told=told,
        low=low,
        high=high,
        axes=report.axes() / len(report.flown),
        all_axes=2 * len(of_pads),
        exact=markdown_table(METHOD_COLUMNS, exact_rows(report)),
        ours=median(ours.distances),
        theirs=median(theirs.distances),
        alone=expected_quantile(alone, 0.5),
        together=best_together,
        most=median(theirs.distances) / best_together,
        both=report.ratios()['rms where both have found it'],
        their_found=theirs.found,
        their_false=theirs.false,
        our_found=ours.found,
        our_false=ours.false,
        all=ours.distances.size,
        ours_exact=1e3 * median(exact[OURS].distances),
        sorted_exact=1e3 * median(exact[SORTED].distances),
        lens_exact=1e3 * median(exact[SORTED_LENS].distances),
        ours_unshared=median(ours.unshared),
        together_unshared=median(errors[TOGETHER].unshared),
        alone_rms=expected_rms(alone),
        together_rms=expected_rms(together),
        machine='\n'.join(f'- {key}: {value}' for key, value in about.items()),
        gps=noise.position.wander[0],
        gps_time=noise.position.correlation_time,
        attitude=noise.attitude.wander[0],
        yaw=noise.attitude.wander[2],
        attitude_time=noise.attitude.correlation_time,
        odometry_least=1 / flights.ODOMETRY_PERIODS[1],
        odometry_most=1 / flights.ODOMETRY_PERIODS[0],
        period=flights.PERIOD,
        rendered_period=shown.period,
        frames=shown.frames,
        finds=shown.finds,
        visible=shown.visible,
        false=shown.false,
        marker=report.noise.marker,
        disc=report.noise.disc,
        rendered=markdown_table(METHOD_COLUMNS, rendered_rows(report)),
    )


def _ratios(report: Report) -> str:
    rows = [
        [
            name,
            f'{ratio:.2f}' if ratio < 100 else f'{ratio:.0f}',
            'yes' if ratio >= WANTED else 'no',
        ]
        for name, ratio in report.ratios().items()
    ]
    return markdown_table(('by', 'times', 'reached'), rows)
