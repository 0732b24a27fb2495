"""What the handler and the processor share: the pipeline behind them, on the way to other processes too."""
