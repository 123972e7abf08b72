def write(run): pass
