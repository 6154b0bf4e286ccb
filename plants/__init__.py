"""Plants: python-control systems with agents, limits, costs and disturbances; benchmark networks."""

from dmpcrl_ctrl.plants.absolute_cost import AbsoluteCost
from dmpcrl_ctrl.plants.chain import chain, chain_model
from dmpcrl_ctrl.plants.disturbance import Constant, GaussianNoise, Ramp, Sampled, Source, Steps, UniformNoise
from dmpcrl_ctrl.plants.hycon2 import power_network
from dmpcrl_ctrl.plants.partition import Agent
from dmpcrl_ctrl.plants.plant import Plant
from dmpcrl_ctrl.plants.power import PowerArea, Tie, power_network_of
from dmpcrl_ctrl.plants.random_network import random_power_network
from dmpcrl_ctrl.plants.tanks import quadruple_tank
from dmpcrl_ctrl.plants.trajectory import Trajectory

__all__ = [
    "AbsoluteCost",
    "Agent",
    "Constant",
    "GaussianNoise",
    "Plant",
    "PowerArea",
    "Ramp",
    "Sampled",
    "Source",
    "Steps",
    "Tie",
    "Trajectory",
    "UniformNoise",
    "chain",
    "chain_model",
    "power_network",
    "power_network_of",
    "quadruple_tank",
    "random_power_network",
]
