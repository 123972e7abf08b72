"""Random numbers: every stream that is drawn from a user's seed, so that no two draws use the same numbers."""

from enum import IntEnum, unique

import numpy as np


@unique
class RandomStream(IntEnum):
    """What is drawn. A number must not change: results of before would come out otherwise."""

    CAPITALS = 0  # wrong options of the task, and the order of options
    CITIES = 1
    QUESTIONS = 2  # the order in which a task's questions are asked
    EXAMPLES = 3  # worked examples from the task's pool
    HALVES = 4  # groups of questions for the select and the report half; then the number of the split
    BOOTSTRAP = 5  # resamples of groups
    RACE = 6  # the order in which candidates of a race are asked
    RANDOM_PATH = 7  # the order of blocks by the criterion random; then the draw
    NOISE = 11  # on states; then question, depth, draw
    CKA = 12  # batches, subsamples and shuffles of samples
    TOKENS = 13  # positions of a prompt whose states are compared; then question
    VOCABULARY = 14  # rows of the head in the place of options
    TUNED_LENS = 15  # passages and, with the depth, positions of every training step
    LINEAR_PROBE = 16  # then 0: gold options of the control task; 1: folds
    TWIN_WEIGHTS = 17  # of the random-init control; then the draw
    OTHER_GOLDS = 18  # of the controls shuffled-gold and wrong-gold; then the draw
    OPTION_ORDER = 19  # of the control shuffled-options; then draw, question
    SUBSETS_RESAMPLED = 22  # sets of blocks in the bootstrap of claim C3
    PERMUTED_PHASES = 23  # the permutation test of claim C3
    SUBSETS = 24  # sets of blocks removed; then the number of their kind
    JUMP_SHUFFLES = 25  # golds that the jump of a trace is held against; then the task
    NO_PREFERENCE = 26  # answers of a model without preference
    PERMUTED_MODELS = 27  # orders of a study's models in the test of claim C8


def generator(stream: RandomStream, seed: int | None, *which: int) -> np.random.Generator:
    """The generator of a stream for a seed (None: the same numbers for every seed) and, of many such draws, `which`."""
    return np.random.default_rng([*([] if seed is None else [seed]), int(stream), *which])
