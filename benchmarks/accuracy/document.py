"""The accuracy with method and machine, as the documentation has it."""

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

Written by `python -m benchmarks.accuracy --write docs/accuracy.md`; not to be edited by hand. How
far the targets on the map are from the pads on the ground: of our stages, of the forerunner's
method with the same detections and the same odometry, and of the best that anybody could make of
them.

## Figures

{flights} simulated flights over {pads} pads, {sightings:.0f} sightings each, the sensors with
their usual errors. Distances on the ground:

{methods}

*Found*: a target within {found:g} m of the pad; where there is none, the distance to the nearest
one counts. *Of nothing*: targets with no pad within {found:g} m. *Without the common shift*: of
the pads found, which are not the same for all, less what they are off by in common in that flight
(the median of the offsets, east and north). *Expected* is what the covariance says; the rows
before it are what these estimates made of these very flights.

How many times as accurate as the forerunner; at least {wanted:g} was wanted:

{ratios}

Pad by pad; the normalised squared error is that of our stated covariance, per axis:

{by_pad}

Where what is stated is so, the normalised squared error is 1 on average. Over {flights} flights
that of a pad lies between {pad_low:.2f} and {pad_high:.2f} (chi-square, 95%): it does for
{honest} of {pads}. Of all it is {told:.2f}; an honest one lies between {low:.2f} and {high:.2f},
for the pads of one flight share their errors, and count as {axes:.1f} independent axes rather
than as {all_axes}.

The same flights, were the sensors exact: what is left is the method's own fault.

{exact}

## What it comes to

- With the usual errors half of our targets are within {ours:.2f} m, half of the forerunner's
  within {theirs:.2f} m. The wandering position of a GPS and the wandering attitude are in both.
  The best is {alone:.2f} m from each pad's own sightings, and {together:.2f} m from all of them
  together: so by the median nobody could be more than {most:.1f} times as accurate as the
  forerunner.
- Where both have found a pad, we are {both:.2f} times as accurate: the sensors' errors are all
  that shows there.
- What makes the difference in flight is the gathering. The forerunner has a target for
  {their_found} of {all} pads, and {their_false} that are none; we have {our_found}, and
  {our_false}. It knows no labels, and its mixture takes two pads for one: with exact sensors too,
  and of our locations too.
- What a better location is worth shows where the sensors are exact: half of our targets are
  within {ours_exact:.1f} mm. The means of the forerunner's points, told which are whose, are
  within {sorted_exact:.0f} mm, and within {lens_exact:.0f} mm with the lens undone; the rest is
  the nearest odometry and the middle of the box. Among errors of a metre none of this is seen.
- What could still be gained: our filters know each pad alone, which is {alone_rms:.2f} m rms at
  best; all pads together make {together_rms:.2f} m, and without the common shift half are within
  {together_unshared:.2f} m instead of {ours_unshared:.2f} m.

## Machine

{machine}

## Method

**Flights.** `SimulatedFlight` and `NoisyFlight` of the seeds {first} to {last}, with
`SensorNoise()` as it is: the position wanders by {gps:g} m (east, north) with a memory of
{gps_time:g} s, roll and pitch by {attitude:g} rad and yaw by {yaw:g} rad with one of
{attitude_time:g} s, and each has a small error anew each time. Odometry {odometry_least:.0f} to
{odometry_most:.0f} times a second, at irregular times, with right stamps. data_merge waits for
what comes after an image, up to its `max_wait`: so how late it comes does not matter below that,
and here it is all there; so it is for the forerunner. A frame every {period:g} s, with the right
stamp; camera, lens and parameters of config/airside.yaml. The camera is mounted exactly as the
parameters say, and the ground is as flat: in the air both add errors, for everybody.

**Detections.** Flight {first} is also rendered, every {rendered_period:g} s: {frames} frames,
blurred by 1 pixel and with noise of 5 grey levels. The detectors of config/airside.yaml found
{finds} of {visible} pads that were wholly in a frame, and {false} that are none, with an error of
{marker:.2f} pixels (markers) and {disc:.2f} (discs), u and v each. So in the other flights all
pads that are wholly in a frame are projected, with that noise. That comes to the same:

{rendered}

**worker_pipeline.** The stages data_merge, geolocation and cluster_estimation themselves, one
after the other in one process. A target is a pad's if it has its label. cluster_estimation's
`correlated_share` and `correlation_time` in config/airside.yaml were chosen by the normalised
squared errors of the flights 1 to 40; `--first 41` measures others.

**The forerunner** (`benchmarks/accuracy/forerunner.py`). The nearest odometry, no distortion, flat
ground, the middle of the box, a Bayesian mixture of all points. A pad's target is the nearest,
whatever else it is the nearest of: that is generous.

**The best** (`benchmarks/accuracy/bound.py`). The covariance of all sightings of a flight, each
with each, from the simulation's own model of the errors, to the first order; of that the best
linear unbiased estimate (generalised least squares), whose covariance is the Cramer-Rao bound
where errors are Gaussian. It knows the model with its parameters, and which sighting is whose; of
where pads may be it knows nothing. It uses the pose of each image as data_merge has it, and not
velocities, nor how a vehicle can move.
"""


def render(report: Report, about: Mapping[str, str]) -> str:
    """The whole document."""
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
        gps_time=noise.position.remembered,
        attitude=noise.attitude.wander[0],
        yaw=noise.attitude.wander[2],
        attitude_time=noise.attitude.remembered,
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
