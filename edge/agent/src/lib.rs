//! World model, mission, behaviour and the 20 Hz cycle of a robot.
