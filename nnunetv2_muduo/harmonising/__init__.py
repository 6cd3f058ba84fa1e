"""Folders of PET/CT scans from several centres made one nnU-Net dataset, and masks put back on the scans' grids."""
