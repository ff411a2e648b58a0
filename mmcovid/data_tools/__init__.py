"""Data before they are trained on: conversion, the phantom, verification, leakage."""
