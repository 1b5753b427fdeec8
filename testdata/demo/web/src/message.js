// Change this line and save: the page changes, and does not reload.
export const message = 'One trusted origin'
